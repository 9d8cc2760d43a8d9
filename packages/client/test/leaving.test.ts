/** Subscriptions, loops and batch readers that end: by close, break and drain, and by a partition that is lost, against a real broker. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { connect, type Subscription } from "../src/index.js";
import { numbered, text } from "./harness/records.js";
import { useDeployment } from "./harness/test-deployment.js";

const test = useDeployment();

describe("leaving", () => {
  it("close lets a handler that runs send: its record is settled, not given up", async () => {
    await test.publish("t", ["x"]);
    const began = Promise.withResolvers<void>();
    const producer = test.gmq.producer();
    const failures: unknown[] = [];
    test.gmq.subscribe("t", { group: "g", retry: { maxAttempts: 1 } }, async ({ value }) => {
      began.resolve();
      await sleep(200);
      await producer.send("out", { value, partition: 0 }).catch((error: unknown) => {
        failures.push(error);
        throw error;
      });
    });
    await began.promise;
    await sleep(50);
    await test.gmq.close();
    expect(failures).toEqual([]);
    expect(await test.stored("out")).toEqual(["x"]);
    expect(await test.lag("g")).toBe(0);
    await expect(producer.send("out", { value: "late" })).rejects.toMatchObject({ code: "closed" });
  });

  it("break leaves the group: another consumer has the rest at once", async () => {
    await test.publish("t", numbered(4));
    for await (const message of test.gmq.messages("t", { group: "g" })) {
      await message.ack();
      if (text(message.value) === "r1") break;
    }
    expect(await test.members("g")).toBe(0);
    await using consumer = test.gmq.consumer("t", { group: "g" });
    const batch = await consumer.receive({ timeoutMs: 5_000 });
    expect(batch?.messages.map(({ value, attempt }) => [text(value), attempt])).toEqual([
      ["r2", 1],
      ["r3", 1],
    ]);
  });

  it("an error inside the loop leaves it too", async () => {
    await test.publish("t", ["x"]);
    const loop = async () => {
      for await (const _message of test.gmq.messages("t", { group: "g" })) throw new Error("from the loop");
    };
    await expect(loop()).rejects.toThrow("from the loop");
    expect(await test.members("g")).toBe(0);
  });

  it("a consumer that is closed before it has joined is no member afterwards", async () => {
    for (let round = 0; round < 5; round++) await test.gmq.consumer("t", { group: "g" }).close();
    await test.gmq.subscribe("t", { group: "g" }, () => undefined).close();
    await expect.poll(() => test.members("g")).toBe(0);
    await sleep(100);
    expect(await test.members("g")).toBe(0);
  });

  it("`await using` drains a subscription", async () => {
    await test.publish("t", numbered(3));
    const handled: string[] = [];
    {
      await using _subscription = test.gmq.subscribe("t", { group: "g" }, async ({ value }) => {
        await sleep(20);
        handled.push(text(value));
      });
      await expect.poll(() => handled.length).toBeGreaterThan(0);
    }
    const done = handled.length;
    await sleep(60);
    expect(handled.length).toBe(done);
    expect(await test.members("g")).toBe(0);
    expect(await test.lag("g")).toBe(3 - done);
  });
});

describe("drain", () => {
  it("inside the handler does not wait for itself; what ran is acked, what had not begun is not", async () => {
    await test.publish("t", numbered(5));
    const handled: string[] = [];
    let returned = false;
    const subscription: Subscription = test.gmq.subscribe("t", { group: "g" }, async ({ value }) => {
      handled.push(text(value));
      if (handled.length < 2) return;
      await subscription.drain();
      returned = true;
    });
    await subscription.closed;
    expect(returned).toBe(true);
    expect(handled).toEqual(["r0", "r1"]);
    expect(await test.lag("g")).toBe(3);
  });

  it("waits for handlers that run, past its deadline fires their signals, and what they hold comes again", async () => {
    await test.publish("t", ["stuck"]);
    const reasons: unknown[] = [];
    const subscription = test.gmq.subscribe("t", { group: "g" }, async (_message, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      reasons.push(signal.reason);
      throw signal.reason;
    });
    await expect.poll(() => subscription.assignments.length).toBe(4);
    await sleep(50);
    await subscription.drain({ timeoutMs: 100 });
    await expect.poll(() => reasons).toMatchObject([{ code: "cancelled" }]);
    expect(await test.lag("g")).toBe(1);
  });

  it("does not wait for a record in its backoff", async () => {
    await test.publish("t", ["x"]);
    let attempts = 0;
    const subscription = test.gmq.subscribe(
      "t",
      { group: "g", retry: { backoff: { initialMs: 60_000, maxMs: 60_000 } } },
      () => {
        attempts++;
        throw new Error("not yet");
      },
    );
    await expect.poll(() => attempts).toBe(1);
    const startedMs = performance.now();
    await subscription.drain({ timeoutMs: 25_000 });
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    await using consumer = test.gmq.consumer("t", { group: "g" });
    expect((await consumer.receive({ timeoutMs: 5_000 }))?.messages.map(({ attempt }) => attempt)).toEqual([2]);
  });
});

describe("a partition that is lost", () => {
  it("fires the handler's signal, and its late verdict is refused", async () => {
    await test.publish("t", ["x"]);
    const lost = Promise.withResolvers<unknown>();
    const acked = Promise.withResolvers<unknown>();
    const options = { group: "g", memberId: "m1" };
    const first = test.gmq.subscribe("t", options, async (message, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      lost.resolve(signal.reason);
      acked.resolve(
        await message.ack().then(
          () => "acked",
          (error: unknown) => error,
        ),
      );
    });
    await expect.poll(() => first.assignments.length).toBe(4);
    await sleep(100);
    await using other = await connect({ brokers: test.urls });
    await using twin = other.consumer("t", options);
    expect(await lost.promise).toMatchObject({ code: "fenced" });
    expect(await acked.promise).toMatchObject({ code: "fenced" });
    await expect(first.closed).rejects.toMatchObject({ code: "fenced" });
    const batch = await twin.receive({ timeoutMs: 5_000 });
    expect(batch?.messages.map(({ value }) => text(value))).toEqual(["x"]);
  });

  it("passes on at once though a record of it is in its backoff", async () => {
    for (let partition = 0; partition < 4; partition++) {
      await using producer = test.gmq.producer();
      await producer.send("t", { value: "x", partition });
    }
    let attempts = 0;
    test.gmq.subscribe(
      "t",
      { group: "g", concurrency: 4, retry: { backoff: { initialMs: 60_000, maxMs: 60_000 } } },
      () => {
        attempts++;
        throw new Error("not yet");
      },
    );
    await expect.poll(() => attempts).toBe(4);
    await using other = await connect({ brokers: test.urls });
    const startedMs = performance.now();
    await using consumer = other.consumer("t", { group: "g" });
    const batch = await consumer.receive({ timeoutMs: 25_000 });
    expect(batch?.messages[0]?.attempt).toBe(2);
    // The broker would take it after 20 s by itself.
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  });
});
