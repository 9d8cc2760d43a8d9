/** Batching, budget, deadlines, partial results and refusals of producers, against a real broker. */
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "@gmq/protocol";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { connect, GmqError, topic } from "../src/index.js";
import { numbered } from "./harness/records.js";
import { startDeployment, useDeployment } from "./harness/test-deployment.js";

const test = useDeployment();

describe("batches", () => {
  it("hold what is sent in one turn", async () => {
    const producer = test.gmq.producer();
    await producer.send("t", { value: "first", partition: 0 });
    await Promise.all(numbered(500).map((value) => producer.send("t", { value, partition: 0 })));
    expect(test.appendedBatches.map(({ recordCount }) => recordCount)).toEqual([1, 500]);
  });

  it("gather over turns for lingerMs, and no longer", async () => {
    const producer = test.gmq.producer({ lingerMs: 150 });
    const startedMs = performance.now();
    const sent: Promise<unknown>[] = [];
    for (const value of numbered(10)) {
      sent.push(producer.send("t", { value, partition: 0 }));
      await sleep(2);
    }
    await Promise.all(sent);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(149);
    expect(test.appendedBatches.map(({ recordCount }) => recordCount)).toEqual([10]);
  });

  it("do not linger when they are flushed", async () => {
    const producer = test.gmq.producer({ lingerMs: 60_000 });
    const sent = producer.send("t", { value: "x", partition: 0 });
    await producer.flush({ timeoutMs: 5_000 });
    expect(await sent).toMatchObject({ offset: 0n });
  });

  it("do not linger past the deadline of what they hold", async () => {
    const producer = test.gmq.producer({ lingerMs: 60_000, bufferedBytesMax: 1_000 });
    await expect(producer.send("t", { value: "x".repeat(900) }, { timeoutMs: 100 })).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    // Its place in the budget is free again, and nothing of it is sent later.
    const next = producer.send("t", { value: "y".repeat(900), partition: 0 });
    await producer.flush();
    await next;
    expect(await test.stored("t")).toEqual(["y".repeat(900)]);
  });

  it("are no larger than batchBytesMax", async () => {
    const producer = test.gmq.producer({ batchBytesMax: 1_000 });
    await Promise.all(numbered(300).map((value) => producer.send("t", { value: value.padEnd(90), partition: 0 })));
    expect(Math.max(...test.appendedBatches.map(({ records }) => records.length))).toBeLessThanOrEqual(1_000);
    expect((await test.stored("t")).length).toBe(300);
  });

  it("are no larger than the broker takes", async () => {
    const strict = await startDeployment(1, { batchBytesMax: 65_536 });
    const client = await connect({ brokers: strict.urls });
    const records = Array.from({ length: 1_000 }, () => ({ value: new Uint8Array(500), partition: 0 }));
    const results = await client.producer().sendBatch("t", records);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
    await client.close();
    await strict.stop();
  });

  it.each(["gzip", "zstd"] as const)(
    "compressed with %s are smaller, and read as they were sent",
    async (compression) => {
      const producer = test.gmq.producer({ compression });
      const values = numbered(2_000).map((value) => `${value} ${"the same again ".repeat(5)}`);
      await Promise.all(values.map((value) => producer.send("t", { value, partition: 0 })));
      const [batch] = test.appendedBatches;
      expect(batch?.codec).toBe(compression === "gzip" ? 2 : 3);
      expect(batch?.records.length).toBeLessThan((batch?.uncompressedBytes ?? 0) / 4);
      expect(await test.stored("t")).toEqual(values);
      const seen: string[] = [];
      const subscription = test.gmq.subscribe("t", { group: "g", maxInFlight: { records: 100 } }, ({ value }) => {
        seen.push(new TextDecoder().decode(value));
      });
      await expect.poll(() => seen.length).toBe(2_000);
      expect(seen).toEqual(values);
      await subscription.drain();
    },
  );
});

describe("the byte budget", () => {
  it("makes sends wait, which then go on in order", async () => {
    const producer = test.gmq.producer({ bufferedBytesMax: 1_000 });
    await producer.send("t", { value: "first", partition: 0 });
    const release = test.holdAnswers();
    const sent = numbered(50).map((value) => producer.send("t", { value: value.padEnd(100), partition: 0 }));
    await expect.poll(async () => (await test.stored("t")).length).toBeGreaterThan(1);
    await sleep(50);
    expect((await test.stored("t")).length).toBeLessThanOrEqual(11);
    release();
    await Promise.all(sent);
    expect((await test.stored("t")).slice(1).map((value) => value.trim())).toEqual(numbered(50));
  });

  it("that stays full is told at the deadline of the send that waits, of each its own", async () => {
    const producer = test.gmq.producer({ bufferedBytesMax: 1_000 });
    await producer.send("t", { value: "first", partition: 0 });
    const release = test.holdAnswers();
    const first = producer.send("t", { value: "x".repeat(900), partition: 0 });
    const patient = producer.send("t", { value: "y".repeat(900), partition: 0 }, { timeoutMs: 20_000 });
    const startedMs = performance.now();
    await expect(
      producer.send("t", { value: "z".repeat(900), partition: 0 }, { timeoutMs: 100 }),
    ).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    const abort = new AbortController();
    const given = producer.send("t", { value: "w".repeat(900), partition: 0 }, { signal: abort.signal });
    abort.abort();
    await expect(given).rejects.toMatchObject({ code: "cancelled" });
    const last = producer.send("t", { value: "last", partition: 0 });
    release();
    await Promise.all([first, patient, last]);
    expect((await test.stored("t")).map((value) => value[0])).toEqual(["f", "x", "y", "l"]);
  });

  it("names itself when it is what a send waited for", async () => {
    const producer = test.gmq.producer({ bufferedBytesMax: 1_000 });
    await producer.send("t", { value: "first", partition: 0 });
    const release = test.holdAnswers();
    const first = producer.send("t", { value: "x".repeat(900), partition: 0 });
    await expect(producer.send("t", { value: "y".repeat(900) }, { timeoutMs: 100 })).rejects.toMatchObject({
      code: "deadline_exceeded",
      field: "bufferedBytesMax",
      limit: "1000 bytes",
      retryable: true,
    });
    release();
    await first;
  });
});

describe("sends that are not awaited", () => {
  it("are refused once what waits has no room, and what was taken before goes out in order", async () => {
    const producer = test.gmq.producer({ bufferedBytesMax: 1_000, waitingBytesMax: 20 * (1_024 + 100) });
    await producer.send("t", { value: "first", partition: 0 });
    const release = test.holdAnswers();
    const sent = numbered(100).map((value) => producer.send("t", { value: value.padEnd(100), partition: 0 }));
    const refused = sent.slice(40);
    for (const one of refused)
      await expect(one).rejects.toMatchObject({
        code: "resource_exhausted",
        field: "waitingBytesMax",
        limit: "22480 bytes",
        retryable: true,
      });
    const batch = await producer.sendBatch("t", [{ value: "a" }, { value: "b".repeat(2_000) }]);
    expect(batch.map((result) => !result.ok && result.error.code)).toEqual([
      "resource_exhausted",
      "resource_exhausted",
    ]);
    release();
    const results = await Promise.allSettled(sent);
    const taken = results.filter(({ status }) => status === "fulfilled").length;
    // What fits the budget, and twenty that wait.
    expect(taken).toBeGreaterThanOrEqual(21);
    expect(taken).toBeLessThanOrEqual(40);
    expect((await test.stored("t")).slice(1).map((value) => value.trim())).toEqual(numbered(taken));
    const after = await producer.send("t", { value: "after", partition: 0 });
    expect(after.offset).toBe(BigInt(taken + 1));
  });

  it("are taken again when those that waited have given up", async () => {
    const producer = test.gmq.producer({ bufferedBytesMax: 1_000, waitingBytesMax: 2_000 });
    await producer.send("t", { value: "first", partition: 0 });
    const release = test.holdAnswers();
    const first = producer.send("t", { value: "x".repeat(900), partition: 0 });
    const waiting = producer.send("t", { value: "y".repeat(900), partition: 0 }, { timeoutMs: 100 });
    await expect(producer.send("t", { value: "z", partition: 0 })).rejects.toMatchObject({
      code: "resource_exhausted",
    });
    await expect(waiting).rejects.toMatchObject({ code: "deadline_exceeded" });
    const last = producer.send("t", { value: "last", partition: 0 });
    release();
    await Promise.all([first, last]);
    expect((await test.stored("t")).map((value) => value[0])).toEqual(["f", "x", "l"]);
  });
});

describe("sendBatch", () => {
  it("stores the sound records and tells of each of the others", async () => {
    const producer = test.gmq.producer();
    const results = await producer.sendBatch("t", [
      { value: "a", partition: 0 },
      { value: new Uint8Array(limits.recordBytesMax + 1), partition: 0 },
      { value: "b", partition: 0 },
      { value: "c", partition: 9 },
      { value: "d", partition: 0, timestamp: -1 },
      { value: "e", partition: 0 },
    ]);
    expect(results).toMatchObject([
      { ok: true, partition: 0, offset: 0n, duplicate: false },
      { ok: false, error: { code: "record_too_large", field: "value", limit: "2097152 bytes" } },
      { ok: true, offset: 1n },
      { ok: false, error: { code: "partition_not_found", field: "partition", limit: "0 to 3" } },
      { ok: false, error: { code: "invalid_argument", field: "timestamp" } },
      { ok: true, offset: 2n },
    ]);
    expect(await test.stored("t")).toEqual(["a", "b", "e"]);
    expect(await producer.sendBatch("t", [])).toEqual([]);
  });

  it.each([
    ["larger than a part that is encoded at once", 16 * 1024 * 1024],
    ["that waits for the budget", 700_000],
  ])("keeps its place before what is sent after it: a batch %s", async (_, bufferedBytesMax) => {
    const producer = test.gmq.producer({ bufferedBytesMax });
    const large = Array.from({ length: 12 }, () => ({ value: Buffer.alloc(300_000), partition: 0 }));
    const [batch, next, last] = await Promise.all([
      producer.sendBatch("t", large),
      producer.sendBatch("t", [{ value: "next", partition: 0 }]),
      producer.send("t", { value: "last", partition: 0 }),
    ]);
    expect([...batch, ...next].map((result) => result.ok && Number(result.offset))).toEqual(
      Array.from({ length: 13 }, (_, offset) => offset),
    );
    expect(last.offset).toBe(13n);
  });

  it("has one deadline for all of it, and gives up when its signal fires", async () => {
    const producer = test.gmq.producer({ bufferedBytesMax: 1_000 });
    await producer.send("t", { value: "first", partition: 0 });
    const release = test.holdAnswers();
    const records = numbered(20).map((value) => ({ value: value.padEnd(400), partition: 0 }));
    const startedMs = performance.now();
    const late = await producer.sendBatch("t", records, { timeoutMs: 1_000 });
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(new Set(late.map((result) => (result.ok ? "stored" : result.error.code)))).toEqual(
      new Set(["deadline_exceeded"]),
    );
    const abort = new AbortController();
    const sending = producer.sendBatch("t", records, { signal: abort.signal });
    abort.abort();
    const cancelled = await sending;
    expect(cancelled.map((result) => (result.ok ? "stored" : result.error.code))).toEqual(
      records.map(() => "cancelled"),
    );
    release();
  });
});

describe("a send that is refused", () => {
  const orders = topic("orders", { value: z.object({ id: z.string(), cents: z.number().int() }) });

  it("by the schema names the field, and holds nothing up", async () => {
    const producer = test.gmq.producer();
    const wrong = { id: "o1", cents: "many" } as unknown as { id: string; cents: number };
    await expect(producer.send(orders, { value: wrong })).rejects.toMatchObject({
      code: "schema_invalid",
      field: "value.cents",
    });
    await expect(producer.send("raw", { value: 7 as unknown as string })).rejects.toMatchObject({
      code: "schema_invalid",
    });
    expect(await producer.send(orders, { value: { id: "o1", cents: 1 } })).toMatchObject({ offset: 0n });
  });

  it("by a schema that takes its time lets nothing overtake it", async () => {
    const slow = topic("slow", {
      value: {
        async encode(value: string) {
          await sleep(value === "first" ? 100 : 0);
          if (value === "bad") throw new GmqError("schema_invalid", "bad");
          return new TextEncoder().encode(value);
        },
        decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
      },
    });
    const producer = test.gmq.producer();
    const sent = ["first", "bad", "second", "third"].map((value) => producer.send(slow, { value, partition: 0 }));
    const outcomes = await Promise.allSettled(sent);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(await test.stored("slow")).toEqual(["first", "second", "third"]);
  });

  it("because it gave up in a queue lets those behind it overtake nobody", async () => {
    const slow = topic("slow", {
      value: {
        async encode(value: string) {
          await sleep(value === "first" ? 300 : 0);
          return new TextEncoder().encode(value);
        },
        decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
      },
    });
    const producer = test.gmq.producer();
    const first = producer.send(slow, { value: "first", partition: 0 });
    const hasty = producer.send(slow, { value: "hasty", partition: 0 }, { timeoutMs: 50 });
    await expect(hasty).rejects.toMatchObject({ code: "deadline_exceeded" });
    const last = producer.send(slow, { value: "last", partition: 0 });
    await Promise.all([first, last]);
    expect(await test.stored("slow")).toEqual(["first", "last"]);
  });

  it("because the topic is another by now asks again", async () => {
    const producer = test.gmq.producer();
    await test.gmq.admin.createTopic("changing", { partitions: 4 });
    await producer.send("changing", { value: "x", partition: 3 });
    const other = await connect({ brokers: test.urls });
    await other.admin.deleteTopic("changing");
    await other.admin.createTopic("changing", { partitions: 2 });
    await expect
      .poll(() =>
        producer.send("changing", { value: "y", partition: 3 }).catch((error: GmqError) => [error.code, error.limit]),
      )
      .toEqual(["partition_not_found", "0 to 1"]);
    expect(await producer.send("changing", { value: "z", key: "k" })).toMatchObject({ offset: 0n });
    await other.close();
  });

  it("after close, and by options that cannot be", async () => {
    const producer = test.gmq.producer();
    await producer.close();
    await expect(producer.send("t", { value: "x" })).rejects.toMatchObject({ code: "closed" });
    expect(await producer.sendBatch("t", [{ value: "x" }])).toMatchObject([{ ok: false, error: { code: "closed" } }]);
    for (const [options, field] of [
      [{ lingerMs: -1 }, "lingerMs"],
      [{ batchBytesMax: limits.batchBytesMax + 1 }, "batchBytesMax"],
      [{ bufferedBytesMax: 0 }, "bufferedBytesMax"],
      [{ waitingBytesMax: 0 }, "waitingBytesMax"],
      [{ timeoutMs: Number.NaN }, "timeoutMs"],
      [{ compression: "lzma" as "gzip" }, "compression"],
    ] as const)
      expect(() => test.gmq.producer(options)).toThrow(expect.objectContaining({ field }));
  });
});

it("stores a record of a dedupe id once, whoever sends it", async () => {
  const [one, two] = [test.gmq.producer(), test.gmq.producer()];
  const record = { value: "once", partition: 0, dedupeId: "d1" };
  expect(await one.send("t", record)).toMatchObject({ offset: 0n, duplicate: false });
  expect(await two.send("t", record)).toMatchObject({ offset: 0n, duplicate: true });
  expect(await one.send("t", { ...record, dedupeId: "d2" })).toMatchObject({ offset: 1n, duplicate: false });
});

it("flushes when its scope ends", async () => {
  let sent: Promise<unknown> | undefined;
  {
    await using producer = test.gmq.producer({ lingerMs: 60_000 });
    sent = producer.send("t", { value: "x", partition: 0 });
  }
  expect(await sent).toMatchObject({ offset: 0n });
});
