/** Records with a time to live, and verdicts that contradict each other, against a real broker. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Subscription, SubscriptionEvent } from "../src/index.js";
import { text } from "./harness/records.js";
import { useDeployment } from "./harness/test-deployment.js";

const test = useDeployment();

/** Counts of expired records, as the events tell them. */
function countExpired(source: { status(): AsyncIterableIterator<SubscriptionEvent> }): { records: number } {
  const told = { records: 0 };
  void (async () => {
    for await (const event of source.status()) if (event.type === "expired") told.records += event.records;
  })();
  return told;
}

async function sendAll(records: readonly { readonly value: string; readonly ttlMs?: number }[]): Promise<void> {
  await using producer = test.gmq.producer();
  for (const record of records) await producer.send("t", { partition: 0, ...record });
}

describe("ttlMs", () => {
  it("keeps an expired record from the handler, acks and counts it; others come, with the time that they have", async () => {
    await sendAll([
      { value: "short", ttlMs: 1 },
      { value: "long", ttlMs: 3_600_000 },
      { value: "short too", ttlMs: 1 },
      { value: "for ever" },
    ]);
    await sleep(20);
    const seen: [string, boolean][] = [];
    await using subscription = test.gmq.subscribe("t", { group: "g" }, ({ value, expiresAt, timestamp }) => {
      const lives = expiresAt !== undefined && expiresAt.getTime() - timestamp.getTime() >= 3_600_000;
      seen.push([text(value as Uint8Array), lives]);
    });
    const told = countExpired(subscription);
    await expect.poll(() => test.lag("g")).toBe(0);
    expect(seen).toEqual([
      ["long", true],
      ["for ever", false],
    ]);
    await expect.poll(() => told.records).toBe(2);
  });

  it("is asked before every try: a record that fails until its time is over is acked, not dead-lettered", async () => {
    await sendAll([{ value: "fails", ttlMs: 4_000 }]);
    let tries = 0;
    await using subscription = test.gmq.subscribe(
      "t",
      { group: "g", retry: { maxAttempts: 1_000_000, backoff: { initialMs: 20, maxMs: 20 } } },
      () => {
        tries++;
        throw new Error("no");
      },
    );
    const told = countExpired(subscription);
    await expect.poll(() => told.records).toBe(1);
    await expect.poll(() => test.lag("g")).toBe(0);
    expect(tries).toBeGreaterThan(1);
    expect(await test.gmq.admin.deadLetterQueues()).toEqual([]);
  });

  it("is skipped by receive() and messages(), which wait for what lives", async () => {
    await sendAll([{ value: "gone", ttlMs: 1 }, { value: "one" }, { value: "gone too", ttlMs: 1 }, { value: "two" }]);
    await sleep(20);
    await using consumer = test.gmq.consumer("t", { group: "g" });
    const told = countExpired(consumer);
    const batch = await consumer.receive({ max: 2, timeoutMs: 10_000 });
    expect(batch?.messages.map(({ value }) => text(value as Uint8Array))).toEqual(["one"]);
    await batch?.ack();
    for await (const message of consumer.messages()) {
      expect(text(message.value as Uint8Array)).toBe("two");
      await message.ack();
      break;
    }
    await expect.poll(() => test.lag("g")).toBe(0);
    expect(told.records).toBe(2);
  });

  it("counts from the delivery time of a delayed record", async () => {
    await using producer = test.gmq.producer();
    const dueMs = Date.now() + 1_000;
    await producer.send("t", { partition: 0, value: "late", deliverAt: dueMs, ttlMs: 3_600_000 });
    const seen: number[] = [];
    await using _subscription = test.gmq.subscribe("t", { group: "g" }, ({ expiresAt }) => {
      seen.push(expiresAt?.getTime() ?? 0);
    });
    await expect.poll(() => seen).toEqual([dueMs + 3_600_000]);
  });

  it("is dropped with the dead letter: what is redriven long after does not expire at once", async () => {
    await sendAll([{ value: "bad", ttlMs: 6_000 }]);
    const seen: [string, Date | undefined][] = [];
    let accepts = false;
    await using _subscription = test.gmq.subscribe("t", { group: "g" }, async (message) => {
      seen.push([text(message.value as Uint8Array), message.expiresAt]);
      if (!accepts) await message.reject("not yet");
    });
    await expect.poll(async () => (await test.gmq.admin.deadLetterQueues())[0]?.open).toBe(1n);
    await sleep(6_000);
    accepts = true;
    expect(await test.gmq.admin.redrive("t", { group: "g" })).toMatchObject({ redriven: 1 });
    await expect.poll(() => seen.length).toBe(2);
    expect(seen[0]?.[1]).toBeInstanceOf(Date);
    expect(seen[1]).toEqual(["bad", undefined]);
  });

  it("is shown to those who browse", async () => {
    await sendAll([{ value: "short", ttlMs: 1 }, { value: "for ever" }]);
    await sleep(20);
    const { records } = await test.gmq.admin.browse("t", { partition: 0 });
    expect(records.map(({ expiresAt }) => expiresAt instanceof Date)).toEqual([true, false]);
  });

  it("of no sense is refused, naming the field and its bounds", async () => {
    await using producer = test.gmq.producer();
    for (const ttlMs of [0, -1, 1.5, Number.NaN, 366 * 86_400_000 + 1]) {
      await expect(producer.send("t", { value: "v", ttlMs })).rejects.toMatchObject({
        code: "invalid_argument",
        field: "ttlMs",
        limit: "1 to 31622400000 ms",
      });
    }
  });
});

describe("two verdicts for one message", () => {
  it("the first counts, one that differs is already_settled, the same one again is fine", async () => {
    await sendAll([{ value: "a" }, { value: "b" }]);
    await using consumer = test.gmq.consumer("t", { group: "g" });
    const batch = await consumer.receive({ max: 2, timeoutMs: 10_000 });
    const [first, second] = batch?.messages ?? [];
    if (first === undefined || second === undefined) throw new Error("two messages were sent");
    const outcomes = await Promise.allSettled([first.ack(), first.reject("late"), first.ack(), first.retry()]);
    expect(outcomes.map((outcome) => (outcome.status === "fulfilled" ? "ok" : outcome.reason.code))).toEqual([
      "ok",
      "already_settled",
      "ok",
      "already_settled",
    ]);
    const other = await Promise.allSettled([second.reject("bad"), second.ack()]);
    expect(other.map((outcome) => (outcome.status === "fulfilled" ? "ok" : outcome.reason.code))).toEqual([
      "ok",
      "already_settled",
    ]);
    await expect(second.release()).rejects.toMatchObject({ code: "already_settled" });
    expect(await test.lag("g")).toBe(0);
    expect((await test.gmq.admin.deadLetterQueues()).map(({ open }) => open)).toEqual([1n]);
  });

  it("a verdict that failed leaves room for another", async () => {
    await sendAll([{ value: "a" }]);
    const codes: string[] = [];
    const done = Promise.withResolvers<void>();
    const subscription: Subscription = test.gmq.subscribe("t", { group: "g" }, async (message) => {
      await message.ack({ timeoutMs: 10_000, signal: AbortSignal.abort() }).catch(({ code }) => codes.push(code));
      // The store may have the ack or not; it decides, not the client.
      await message.ack();
      done.resolve();
    });
    await done.promise;
    await subscription.close();
    expect(codes).toEqual(["cancelled"]);
    expect(await test.lag("g")).toBe(0);
  });
});
