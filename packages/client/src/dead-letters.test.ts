/** Giving records up, and what becomes of them: over real sockets, on the embedded engine. */
import { randomUUID } from "node:crypto";
import { createBroker } from "@gmq/broker";
import { silentLogger } from "@gmq/log";
import { listen } from "@gmq/service";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  connect,
  deadLetterTopic,
  type Gmq,
  GmqError,
  type Message,
  Reject,
  type SubscribeOptions,
  topic,
} from "./index.js";

let gmq: Gmq;
let stop: () => Promise<void>;
let name: string;

beforeAll(async () => {
  const engine = await createEmbeddedEngine({ memory: true });
  // Without topics by use: dead-letter topics are made all the same.
  const broker = createBroker({ engine, autoCreateTopics: false });
  const listener = await listen({ host: "127.0.0.1", port: 0, routes: broker.routes, logger: silentLogger });
  gmq = await connect({ brokers: [listener.url] });
  stop = async () => {
    await gmq.close();
    await broker.close();
    await listener.close({ drainMs: 500 });
    await engine.close();
  };
});
afterAll(() => stop());

beforeEach(async () => {
  name = `t-${randomUUID().slice(0, 8)}`;
  await gmq.admin.createTopic(name, { partitions: 2 });
});

const text = new TextDecoder();
const textOf = ({ value }: { readonly value: unknown }): string => text.decode(value as Uint8Array);
const quick = { backoff: { initialMs: 1, maxMs: 2 } };

const typed = (): ReturnType<typeof topic<z.ZodObject<{ n: z.ZodNumber }>>> =>
  topic(name, { value: z.object({ n: z.number() }) });

async function send(values: readonly string[], key = "k"): Promise<void> {
  await using producer = gmq.producer();
  for (const value of values) await producer.send(name, { key, value, headers: { trace: `t-${value}` } });
}

async function open(group = "g"): Promise<bigint> {
  const queues = await gmq.admin.deadLetterQueues();
  return queues.find((queue) => queue.topic === name && queue.group === group)?.open ?? 0n;
}

async function lag(group = "g"): Promise<bigint> {
  const { partitions } = await gmq.admin.describeGroup(group);
  return partitions.filter((item) => item.topic === name).reduce((sum, item) => sum + item.lag, 0n);
}

/** Rejects every value that `isBad` names, acks the others, until the group is through. */
async function consume(
  isBad: (value: string) => boolean,
  expected: number,
  options: Partial<SubscribeOptions> = {},
): Promise<string[]> {
  const seen: string[] = [];
  const subscription = gmq.subscribe(name, { group: "g", ...options }, (message) => {
    seen.push(textOf(message));
    if (isBad(textOf(message))) throw new Reject("bad value", { cause: new TypeError(`no ${textOf(message)}`) });
  });
  await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(expected);
  await expect.poll(() => lag(), { timeout: 10_000 }).toBe(0n);
  await subscription.drain();
  return seen;
}

describe("giving up", () => {
  it("by throwing Reject goes to the dead-letter topic at once, with reason and cause", async () => {
    await send(["a", "b", "c"]);
    await consume((value) => value === "b", 3);
    const { reasons, letters, complete, more } = await gmq.admin.deadLetters(name, { group: "g" });
    expect(reasons).toMatchObject([{ reason: "bad value", count: 1n }]);
    expect({ complete, more }).toEqual({ complete: true, more: false });
    expect(letters).toMatchObject([
      {
        topic: name,
        group: "g",
        reason: "bad value",
        errorText: "TypeError: no b",
        attempts: 1,
        redrives: 0,
        offset: 1n,
      },
    ]);
    const [letter] = letters;
    expect(text.decode(letter?.key)).toBe("k");
    expect(text.decode(letter?.value)).toBe("b");
    expect(letter?.headers.map((header) => [header.key, text.decode(header.value)])).toEqual([["trace", "t-b"]]);
    // The copy itself tells the same to whoever reads it as a topic.
    for await (const message of gmq.messages(deadLetterTopic(name, "g"), { group: "reader" })) {
      expect(message.headers["gmq-dlq-reason"]).toBe("bad value");
      await message.ack();
      break;
    }
  });

  it("after the last attempt keeps the error, and the key goes on behind it", async () => {
    await send(["a", "b", "c"]);
    const seen: string[] = [];
    const events: string[] = [];
    const subscription = gmq.subscribe(name, { group: "g", retry: { ...quick, maxAttempts: 3 } }, (message) => {
      seen.push(`${textOf(message)}@${message.attempt}`);
      if (textOf(message) === "b") throw new Error("always");
    });
    void (async () => {
      for await (const event of subscription.status()) events.push(event.type);
    })();
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual(["a@1", "b@1", "b@2", "b@3", "c@1"]);
    await expect.poll(() => lag()).toBe(0n);
    await subscription.drain();
    expect(events.filter((type) => type === "retrying" || type === "rejected")).toEqual([
      "retrying",
      "retrying",
      "rejected",
    ]);
    const { letters } = await gmq.admin.deadLetters(name, { group: "g" });
    expect(letters).toMatchObject([{ reason: "max attempts", errorText: "Error: always", attempts: 3 }]);
  });

  it("by hand resolves when the copy is stored; release counts a hand-back and no attempt", async () => {
    await send(["a"]);
    await using consumer = gmq.consumer(name, { group: "g" });
    const first = (await consumer.receive())?.messages[0] as Message<unknown>;
    expect([first.attempt, first.handBacks]).toEqual([1, 0]);
    await first.release();
    const second = (await consumer.receive())?.messages[0] as Message<unknown>;
    expect([second.attempt, second.handBacks]).toEqual([1, 1]);
    await second.retry({ delayMs: 0 });
    const third = (await consumer.receive())?.messages[0] as Message<unknown>;
    expect([third.attempt, third.handBacks]).toEqual([2, 1]);
    third.extend();
    await third.reject("r".repeat(300), { cause: "é".repeat(2_000) });
    expect(await open()).toBe(1n);
    const { letters } = await gmq.admin.deadLetters(name, { group: "g" });
    expect(letters).toMatchObject([{ reason: "r".repeat(256), errorText: "é".repeat(512), attempts: 2 }]);
  });
});

describe("values that do not fit the schema", () => {
  it("go to the dead-letter topic by default", async () => {
    await send(['{"n":1}', '{"n":"x"}', "no json", '{"n":2}']);
    const seen: number[] = [];
    const subscription = gmq.subscribe(typed(), { group: "g" }, ({ value }) => void seen.push(value.n));
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual([1, 2]);
    await subscription.drain();
    expect((await gmq.admin.deadLetters(name, { group: "g" })).reasons).toMatchObject([
      { reason: "schema invalid", count: 2n },
    ]);
    await using consumer = gmq.consumer(typed(), { group: "g2" });
    const values: number[] = [];
    while (values.length < 2) {
      const batch = await consumer.receive({ timeoutMs: 5_000 });
      values.push(...(batch?.messages ?? []).map(({ value }) => value.n));
      await batch?.ack();
    }
    await expect.poll(() => open("g2")).toBe(2n);
    expect(await lag("g2")).toBe(0n);
  });

  it("are acked when they are skipped", async () => {
    await send(["{}", '{"n":2}']);
    const seen: number[] = [];
    const subscription = gmq.subscribe(
      typed(),
      { group: "g", onInvalid: "skip" },
      ({ value }) => void seen.push(value.n),
    );
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual([2]);
    await subscription.drain();
    expect(await lag()).toBe(0n);
    expect(await open()).toBe(0n);
  });

  it("end the subscription when it is to fail, and stay unsettled", async () => {
    await send(["{}"]);
    const subscription = gmq.subscribe(typed(), { group: "g", onInvalid: "fail" }, () => undefined);
    await expect(subscription.closed).rejects.toMatchObject({ code: "schema_invalid" });
    await using consumer = gmq.consumer(typed(), { group: "g", onInvalid: "fail" });
    await expect(consumer.receive({ timeoutMs: 5_000 })).rejects.toMatchObject({ code: "schema_invalid" });
    expect(await lag()).toBe(1n);
    expect(await open()).toBe(0n);
  });
});

describe("what is given up without a word", () => {
  it("gets a reason, and an error text that names the fields that do not fit", async () => {
    await send(["{}", '{"n":1}']);
    const subscription = gmq.subscribe(typed(), { group: "g" }, () => {
      throw new Reject("");
    });
    await expect.poll(() => open(), { timeout: 15_000 }).toBe(2n);
    await subscription.drain();
    const { letters } = await gmq.admin.deadLetters(name, { group: "g" });
    expect(letters.map(({ reason }) => reason).sort()).toEqual(["rejected", "schema invalid"]);
    expect(letters.find(({ reason }) => reason === "schema invalid")?.errorText).toContain("value.n: ");
  });

  it("is redriven from a place that is there, or refused by field", async () => {
    await send(["a"]);
    await consume(() => true, 1);
    const selected = [{ partition: 2, offset: 0n }];
    await expect(gmq.admin.redrive(name, { group: "g", selected })).rejects.toMatchObject({
      code: "partition_not_found",
      field: "selected.partition",
      limit: "0 to 1",
    });
    expect(await open()).toBe(1n);
  });
});

describe("the processing deadline", () => {
  it("fires the handler's signal, counts a failed attempt and closes the message", async () => {
    await send(["slow"]);
    const late: unknown[] = [];
    let attempts = 0;
    const options = { group: "g", processingTimeoutMs: 40, retry: { ...quick, maxAttempts: 2 } };
    const subscription = gmq.subscribe(name, options, async (message, { signal }) => {
      attempts++;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      await message.ack().catch((error: unknown) => late.push(error));
      try {
        message.extend();
      } catch (error) {
        late.push(error);
      }
    });
    await expect.poll(() => open(), { timeout: 10_000 }).toBe(1n);
    await subscription.drain();
    expect(attempts).toBe(2);
    expect(late.map((error) => GmqError.is(error, "deadline_exceeded"))).toEqual([true, true, true, true]);
    const { letters } = await gmq.admin.deadLetters(name, { group: "g" });
    expect(letters).toMatchObject([{ reason: "max attempts", attempts: 2 }]);
    expect(letters[0]?.errorText).toContain("longer than 40 ms");
  });

  it("is moved by extend", async () => {
    await send(["slow"]);
    let aborted = false;
    let done = 0;
    const subscription = gmq.subscribe(name, { group: "g", processingTimeoutMs: 100 }, async (message, { signal }) => {
      message.extend(60_000);
      await new Promise((resolve) => setTimeout(resolve, 300));
      aborted = signal.aborted;
      done++;
    });
    await expect.poll(() => done, { timeout: 10_000 }).toBe(1);
    expect(aborted).toBe(false);
    await subscription.drain();
    expect(await open()).toBe(0n);
  });
});

describe("redrive", () => {
  it("puts letters back once, in order, and tells what it did", async () => {
    await send(["a1", "b1", "a2", "b2", "a3"]);
    await consume((value) => value.startsWith("a"), 5);
    expect(await open()).toBe(3n);
    const progress: number[] = [];
    expect(await gmq.admin.redrive(name, { group: "g", dryRun: true })).toMatchObject({ matched: 3, redriven: 3 });
    expect(await open()).toBe(3n);
    const done = await gmq.admin.redrive(name, { group: "g", onProgress: ({ redriven }) => progress.push(redriven) });
    expect(done).toEqual({ matched: 3, redriven: 3, skipped: 0, failed: 0, failures: [] });
    expect(progress.at(-1)).toBe(3);
    expect(await open()).toBe(0n);
    expect(await gmq.admin.redrive(name, { group: "g" })).toMatchObject({ matched: 0, redriven: 0 });
    expect(await consume(() => false, 3)).toEqual(["a1", "a2", "a3"]);
    const { records } = await gmq.admin.browse(name, { partition: await partitionOfKey(), from: { offset: 5n } });
    expect(records.map(({ headers }) => headers.map((header) => header.key))).toEqual(
      Array.from({ length: 3 }, () => ["trace", "gmq-redrives"]),
    );
  });

  async function partitionOfKey(): Promise<number> {
    const { partitionStats } = await gmq.admin.describeTopic(name);
    return partitionStats.find(({ endOffset }) => endOffset > 0n)?.partition ?? 0;
  }

  it("takes what a filter or a selection names and leaves the rest open", async () => {
    await send(["a1", "a2", "a3", "a4", "a5"]);
    await send(["a6"], "other");
    await consume((value) => value.startsWith("a"), 6);
    const { letters } = await gmq.admin.deadLetters(name, { group: "g" });
    const group = "g";
    const byKey = await gmq.admin.redrive(name, { group, filter: { key: "other" } });
    expect(byKey).toMatchObject({ matched: 1, redriven: 1 });
    const byError = await gmq.admin.redrive(name, { group, filter: { errorContains: "no a2", reason: "bad value" } });
    expect(byError).toMatchObject({ matched: 1, redriven: 1 });
    const place = letters.find(({ value }) => text.decode(value) === "a4")?.place;
    const selected = await gmq.admin.redrive(name, { group, selected: place === undefined ? [] : [place] });
    expect(selected).toMatchObject({ matched: 1, redriven: 1 });
    const left = await gmq.admin.deadLetters(name, { group, limit: 2 });
    expect(left.letters.map(({ value }) => text.decode(value))).toEqual(["a1", "a3"]);
    expect(left.more).toBe(true);
    const after = left.letters[1]?.place;
    const rest = await gmq.admin.deadLetters(name, { group, ...(after === undefined ? {} : { after }) });
    expect(rest.letters.map(({ value }) => text.decode(value))).toEqual(["a5"]);
    expect(rest.reasons).toMatchObject([{ count: 3n }]);
    const discarded = await gmq.admin.discardDeadLetters(name, { group, filter: { toOffset: place?.offset ?? 0n } });
    expect(discarded).toMatchObject({ redriven: 2 });
    expect(await open()).toBe(1n);
    expect((await consume(() => false, 3)).toSorted()).toEqual(["a2", "a4", "a6"]);
  });

  it("does not go round for ever", async () => {
    await send(["a"]);
    for (let round = 0; round < 2; round++) {
      await consume(() => true, 1);
      expect(await gmq.admin.redrive(name, { group: "g", maxRedrives: 2 })).toMatchObject({ redriven: 1 });
    }
    await consume(() => true, 1);
    expect((await gmq.admin.deadLetters(name, { group: "g" })).letters).toMatchObject([{ redrives: 2 }]);
    const skipped = await gmq.admin.redrive(name, { group: "g", maxRedrives: 2 });
    expect(skipped).toMatchObject({ matched: 1, redriven: 0, skipped: 1 });
    expect(await open()).toBe(1n);
  });

  it("keeps to its rate, and a second one is refused while it runs", async () => {
    await send(["a1", "a2", "a3", "a4"]);
    await consume(() => true, 4);
    const startedMs = performance.now();
    const begun = Promise.withResolvers<void>();
    const first = gmq.admin.redrive(name, { group: "g", ratePerSecond: 4, onProgress: () => begun.resolve() });
    await begun.promise;
    await expect(gmq.admin.redrive(name, { group: "g" })).rejects.toMatchObject({ code: "conflict" });
    expect(await first).toMatchObject({ redriven: 4 });
    expect(performance.now() - startedMs).toBeGreaterThan(700);
  });

  it("has the time that it is given, and no more", async () => {
    await send(["a1", "a2", "a3"]);
    await consume(() => true, 3);
    await expect(gmq.admin.redrive(name, { group: "g", ratePerSecond: 1, timeoutMs: 300 })).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    await expect.poll(() => open(), { timeout: 15_000 }).toBeGreaterThan(0n);
  });

  it("that is given up leaves the rest open for the next", async () => {
    await send(["a1", "a2", "a3"]);
    await consume(() => true, 3);
    const stopping = new AbortController();
    const options = { group: "g", ratePerSecond: 1, signal: stopping.signal, onProgress: () => stopping.abort() };
    await expect(gmq.admin.redrive(name, options)).rejects.toMatchObject({ code: "cancelled" });
    await expect
      .poll(async () => (await gmq.admin.redrive(name, { group: "g" }).catch(() => undefined))?.redriven, {
        timeout: 10_000,
      })
      .toBeGreaterThan(0);
    expect(await open()).toBe(0n);
    expect(await consume(() => false, 3)).toEqual(["a1", "a2", "a3"]);
  });

  it("refuses what cannot be", async () => {
    await expect(gmq.admin.redrive("none", { group: "g" })).rejects.toMatchObject({
      code: "topic_not_found",
      field: "topic",
    });
    await expect(gmq.admin.redrive(name, { group: "none" })).rejects.toMatchObject({
      code: "topic_not_found",
      field: "group",
    });
    for (const ratePerSecond of [-1, 1_000_001]) {
      await expect(gmq.admin.redrive(name, { group: "g", ratePerSecond })).rejects.toMatchObject({
        code: "invalid_argument",
        field: "ratePerSecond",
      });
    }
    await expect(gmq.admin.deadLetters("none", { group: "g" })).rejects.toMatchObject({ code: "topic_not_found" });
    await expect(gmq.admin.deadLetters(name, { group: "" })).rejects.toMatchObject({ code: "invalid_name" });
    const reserved = gmq.subscribe(name, { group: "gmq.redrive" }, () => undefined);
    await expect(reserved.closed).rejects.toMatchObject({ code: "invalid_argument", field: "group" });
    await expect(gmq.admin.deleteGroup("gmq.redrive")).rejects.toMatchObject({ code: "invalid_argument" });
    expect(() => gmq.subscribe(name, { group: "g", retry: { maxAttempts: 0 } }, () => undefined)).toThrow(
      expect.objectContaining({ field: "retry.maxAttempts" }),
    );
    expect(() => gmq.subscribe(name, { group: "g", processingTimeoutMs: 0 }, () => undefined)).toThrow(
      expect.objectContaining({ field: "processingTimeoutMs" }),
    );
  });
});
