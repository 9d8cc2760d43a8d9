/** Subscriptions, loops and batch readers: giving up, leaving, failing and handing over, against a real broker. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { connect, type Gmq, GmqError, type Subscription, type SubscriptionEvent, topic } from "../src/index.js";
import { startDeployment, type TestDeployment } from "./harness/test-deployment.js";

let test: TestDeployment;
let gmq: Gmq;

beforeEach(async () => {
  test = await startDeployment();
  gmq = await connect({ brokers: test.urls, reconnect: { initialMs: 20, maxMs: 100 } });
});

afterEach(async () => {
  await Promise.race([gmq.close(), sleep(5_000)]);
  await test.stop();
});

const text = (value: Uint8Array): string => new TextDecoder().decode(value);
const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `r${from + index}`);

async function publish(name: string, values: readonly string[], key?: string): Promise<void> {
  await using producer = gmq.producer();
  await Promise.all(
    values.map((value) => producer.send(name, { value, ...(key === undefined ? { partition: 0 } : { key }) })),
  );
}

const members = async (group: string) => (await test.engine.groups.get(group))?.members.length;
const lag = async (group: string) =>
  (await test.engine.groups.offsets(group)).reduce((sum, { lagRecords }) => sum + lagRecords, 0);

describe("giving up", () => {
  it("receive: its deadline is null, its signal is an error, and nothing is lost by either", async () => {
    await using consumer = gmq.consumer("t", { group: "g" });
    expect(await consumer.receive({ timeoutMs: 50 })).toBeNull();
    const abort = new AbortController();
    const receiving = consumer.receive({ signal: abort.signal });
    abort.abort();
    await expect(receiving).rejects.toMatchObject({ code: "cancelled" });
    await expect(consumer.receive({ max: 0 })).rejects.toMatchObject({ code: "invalid_argument", field: "max" });
    await publish("t", numbered(0, 3));
    const batch = await consumer.receive({ timeoutMs: 5_000, max: 2 });
    expect(batch?.messages.map(({ value }) => text(value))).toEqual(["r0", "r1"]);
    await batch?.ack();
  });

  it("receive: those who wait at the same time all get something", async () => {
    await using consumer = gmq.consumer("t", { group: "g" });
    const waiting = [1, 2, 3].map(() => consumer.receive({ timeoutMs: 10_000, max: 1 }));
    await publish("t", numbered(0, 3));
    const batches = await Promise.all(waiting);
    expect(
      batches
        .flatMap((batch) => batch?.messages ?? [])
        .map(({ value }) => text(value))
        .toSorted(),
    ).toEqual(numbered(0, 3));
  });

  it("receive of a consumer that was closed meanwhile tells that", async () => {
    const consumer = gmq.consumer("t", { group: "g" });
    const receiving = consumer.receive();
    await consumer.close();
    await expect(receiving).rejects.toMatchObject({ code: "closed" });
  });

  it("messages(): its signal ends the loop and leaves the group", async () => {
    await publish("t", numbered(0, 2));
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const message of gmq.messages("t", { group: "g", signal: stop.signal })) {
      seen.push(text(message.value));
      await message.ack();
      if (seen.length === 2) setTimeout(() => stop.abort(), 20);
    }
    expect(seen).toEqual(["r0", "r1"]);
    expect(await members("g")).toBe(0);
    for await (const _message of gmq.messages("t", { group: "g", signal: stop.signal })) expect.unreachable();
  });

  it("subscribe: its signal closes the subscription and fires the handler's", async () => {
    await publish("t", ["x"]);
    const stop = new AbortController();
    const fired = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const subscription = gmq.subscribe("t", { group: "g", signal: stop.signal }, async (_message, { signal }) => {
      began.resolve();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      fired.resolve();
    });
    await began.promise;
    stop.abort();
    await fired.promise;
    await subscription.closed;
    expect(await members("g")).toBe(0);
    expect(await lag("g")).toBe(1);
  });
});

describe("leaving", () => {
  it("close lets a handler that runs send: its record is settled, not given up", async () => {
    await publish("t", ["x"]);
    const began = Promise.withResolvers<void>();
    const producer = gmq.producer();
    const failures: unknown[] = [];
    gmq.subscribe("t", { group: "g", retry: { maxAttempts: 1 } }, async ({ value }) => {
      began.resolve();
      await sleep(200);
      await producer.send("out", { value, partition: 0 }).catch((error: unknown) => {
        failures.push(error);
        throw error;
      });
    });
    await began.promise;
    await sleep(50);
    await gmq.close();
    expect(failures).toEqual([]);
    expect(await test.stored("out")).toEqual(["x"]);
    expect(await lag("g")).toBe(0);
    await expect(producer.send("out", { value: "late" })).rejects.toMatchObject({ code: "closed" });
  });

  it("break leaves the group: another consumer has the rest at once", async () => {
    await publish("t", numbered(0, 4));
    for await (const message of gmq.messages("t", { group: "g" })) {
      await message.ack();
      if (text(message.value) === "r1") break;
    }
    expect(await members("g")).toBe(0);
    await using consumer = gmq.consumer("t", { group: "g" });
    const batch = await consumer.receive({ timeoutMs: 5_000 });
    expect(batch?.messages.map(({ value, attempt }) => [text(value), attempt])).toEqual([
      ["r2", 1],
      ["r3", 1],
    ]);
  });

  it("an error inside the loop leaves it too", async () => {
    await publish("t", ["x"]);
    const loop = async () => {
      for await (const _message of gmq.messages("t", { group: "g" })) throw new Error("from the loop");
    };
    await expect(loop()).rejects.toThrow("from the loop");
    expect(await members("g")).toBe(0);
  });

  it("a consumer that is closed before it has joined is no member afterwards", async () => {
    for (let round = 0; round < 5; round++) await gmq.consumer("t", { group: "g" }).close();
    await gmq.subscribe("t", { group: "g" }, () => undefined).close();
    await expect.poll(() => members("g")).toBe(0);
    await sleep(100);
    expect(await members("g")).toBe(0);
  });

  it("`await using` drains a subscription", async () => {
    await publish("t", numbered(0, 3));
    const handled: string[] = [];
    {
      await using _subscription = gmq.subscribe("t", { group: "g" }, async ({ value }) => {
        await sleep(20);
        handled.push(text(value));
      });
      await expect.poll(() => handled.length).toBeGreaterThan(0);
    }
    const done = handled.length;
    await sleep(60);
    expect(handled.length).toBe(done);
    expect(await members("g")).toBe(0);
    expect(await lag("g")).toBe(3 - done);
  });
});

describe("drain", () => {
  it("inside the handler does not wait for itself; what ran is acked, what had not begun is not", async () => {
    await publish("t", numbered(0, 5));
    const handled: string[] = [];
    let returned = false;
    const subscription: Subscription = gmq.subscribe("t", { group: "g" }, async ({ value }) => {
      handled.push(text(value));
      if (handled.length < 2) return;
      await subscription.drain();
      returned = true;
    });
    await subscription.closed;
    expect(returned).toBe(true);
    expect(handled).toEqual(["r0", "r1"]);
    expect(await lag("g")).toBe(3);
  });

  it("waits for handlers that run, past its deadline fires their signals, and what they hold comes again", async () => {
    await publish("t", ["stuck"]);
    const reasons: unknown[] = [];
    const subscription = gmq.subscribe("t", { group: "g" }, async (_message, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      reasons.push(signal.reason);
      throw signal.reason;
    });
    await expect.poll(() => subscription.assignments.length).toBe(4);
    await sleep(50);
    await subscription.drain({ timeoutMs: 100 });
    await expect.poll(() => reasons).toMatchObject([{ code: "cancelled" }]);
    expect(await lag("g")).toBe(1);
  });

  it("does not wait for a record in its backoff", async () => {
    await publish("t", ["x"]);
    let attempts = 0;
    const subscription = gmq.subscribe(
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
    await using consumer = gmq.consumer("t", { group: "g" });
    expect((await consumer.receive({ timeoutMs: 5_000 }))?.messages.map(({ attempt }) => attempt)).toEqual([2]);
  });
});

describe("a partition that is lost", () => {
  it("fires the handler's signal, and its late verdict is refused", async () => {
    await publish("t", ["x"]);
    const lost = Promise.withResolvers<unknown>();
    const acked = Promise.withResolvers<unknown>();
    const options = { group: "g", memberId: "m1" };
    const first = gmq.subscribe("t", options, async (message, { signal }) => {
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
      await using producer = gmq.producer();
      await producer.send("t", { value: "x", partition });
    }
    let attempts = 0;
    gmq.subscribe("t", { group: "g", concurrency: 4, retry: { backoff: { initialMs: 60_000, maxMs: 60_000 } } }, () => {
      attempts++;
      throw new Error("not yet");
    });
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

describe("a record that fails", () => {
  it("waits with its key, and takes no handler's place meanwhile", async () => {
    await using producer = gmq.producer();
    for (const [key, value] of [
      ["a", "a1"],
      ["a", "a2"],
      ["b", "b1"],
      ["b", "b2"],
    ] as const)
      await producer.send("t", { key, value });
    const handled: string[] = [];
    const subscription = gmq.subscribe(
      "t",
      { group: "g", concurrency: 1, retry: { backoff: { initialMs: 600, maxMs: 600 } } },
      ({ value, attempt }) => {
        handled.push(`${text(value)}@${attempt}`);
        if (text(value) === "a1" && attempt === 1) throw new Error("not yet");
      },
    );
    await expect.poll(() => handled.length).toBe(5);
    expect(handled.filter((entry) => entry.startsWith("a"))).toEqual(["a1@1", "a1@2", "a2@1"]);
    expect(handled.indexOf("b2@1")).toBeLessThan(handled.indexOf("a1@2"));
    await subscription.drain();
    expect(await lag("g")).toBe(0);
  });

  it("and succeeds at once afterwards is acked, though both verdicts travel together", async () => {
    await publish("t", numbered(0, 200));
    const failed: SubscriptionEvent[] = [];
    const subscription = gmq.subscribe(
      "t",
      { group: "g", concurrency: 50, orderBy: "none", retry: { backoff: { initialMs: 1, maxMs: 1 } } },
      ({ attempt, offset }) => {
        if (attempt <= Number(offset) % 3) throw new Error("not yet");
      },
    );
    const watching = (async () => {
      for await (const event of subscription.status()) if (event.type === "settleFailed") failed.push(event);
    })();
    await expect.poll(() => lag("g")).toBe(0);
    await subscription.drain();
    await watching;
    expect(failed).toEqual([]);
  });

  it("and is retried by the store is overtaken, and comes back with its attempt", async () => {
    await publish("t", ["1", "2", "3"], "k");
    const handled: string[] = [];
    const subscription = gmq.subscribe(
      "t",
      { group: "g", retry: { backoff: { initialMs: 200, maxMs: 200 }, place: "delayed" } },
      ({ value, attempt }) => {
        handled.push(`${text(value)}@${attempt}`);
        if (text(value) === "1" && attempt === 1) throw new Error("not yet");
      },
    );
    await expect.poll(() => handled).toEqual(["1@1", "2@1", "3@1", "1@2"]);
    await subscription.drain();
    expect(await lag("g")).toBe(0);
  });

  it("because its value does not fit goes to the dead letters, and holds no other up", async () => {
    const typed = topic("typed", { value: z.object({ id: z.number() }) });
    await publish("typed", ['{"id":1}', "no json", '{"id":"x"}', '{"id":2}']);
    await using consumer = gmq.consumer(typed, { group: "g" });
    const batch = await consumer.receive({ timeoutMs: 5_000 });
    expect(batch?.messages.map(({ value }) => value.id)).toEqual([1, 2]);
    await batch?.ack();
    await expect.poll(() => lag("g")).toBe(0);
    expect(await gmq.admin.deadLetterQueues()).toMatchObject([{ topic: "typed", group: "g", open: 2n }]);
  });
});

describe("by hand", () => {
  it("ack, retry and release do what they say", async () => {
    await publish("t", numbered(0, 3));
    await using consumer = gmq.consumer("t", { group: "g" });
    const first = await consumer.receive({ timeoutMs: 5_000 });
    const [a, b, c] = first?.messages ?? [];
    await a?.ack();
    await b?.retry();
    await c?.release();
    const seen: [string, number][] = [];
    while (seen.length < 2) {
      const batch = await consumer.receive({ timeoutMs: 5_000 });
      for (const { value, attempt } of batch?.messages ?? []) seen.push([text(value), attempt]);
      await batch?.ack();
    }
    expect(seen.toSorted()).toEqual([
      ["r1", 2],
      ["r2", 1],
    ]);
    expect(await lag("g")).toBe(0);
  });

  it("holds no more than maxInFlight, and goes on as it is settled", async () => {
    await publish("t", numbered(0, 30));
    await using consumer = gmq.consumer("t", { group: "g", maxInFlight: { records: 4 } });
    const seen: string[] = [];
    while (seen.length < 30) {
      const batch = await consumer.receive({ timeoutMs: 5_000 });
      expect(batch?.messages.length).toBeLessThanOrEqual(4);
      seen.push(...(batch?.messages ?? []).map(({ value }) => text(value)));
      await batch?.ack();
    }
    expect(seen).toEqual(numbered(0, 30));
  });
});

it("tells what happens to a subscription", async () => {
  const events: SubscriptionEvent[] = [];
  const subscription = gmq.subscribe(
    "t",
    { group: "g", retry: { backoff: { initialMs: 10, maxMs: 10 } } },
    ({ attempt }) => {
      if (attempt === 1) throw new Error("not yet");
    },
  );
  const watching = (async () => {
    for await (const event of subscription.status()) events.push(event);
  })();
  await expect.poll(() => events.filter(({ type }) => type === "assigned").length).toBe(4);
  await publish("t", ["x"]);
  await expect
    .poll(() => events.filter(({ type }) => type === "retrying"))
    .toMatchObject([{ topic: "t", partition: 0, offset: 0n, attempt: 1, error: { message: "not yet" } }]);
  expect(events.filter(({ type }) => type === "subscribed")).toMatchObject([{ group: "g" }]);
  expect(events.find(({ type }) => type === "lag")).toMatchObject({ topic: "t", partition: 0, records: 0n });
  await using other = await connect({ brokers: test.urls });
  const second = other.subscribe("t", { group: "g" }, () => undefined);
  await expect.poll(() => events.filter(({ type }) => type === "revoked").length).toBe(2);
  await second.close();
  await subscription.close();
  await watching;
});

it("refuses what cannot be subscribed to, by name", () => {
  const subscribe = (options: object) => () => gmq.subscribe("t", { group: "g", ...options }, () => undefined);
  expect(subscribe({ group: "{g}" })).toThrow(expect.objectContaining({ code: "invalid_name", field: "group" }));
  expect(subscribe({ concurrency: 0 })).toThrow(expect.objectContaining({ field: "concurrency" }));
  expect(subscribe({ maxInFlight: { records: 0 } })).toThrow(expect.objectContaining({ field: "maxInFlight.records" }));
  expect(subscribe({ sessionTimeoutMs: 1 })).toThrow(expect.objectContaining({ field: "sessionTimeoutMs" }));
  expect(() => gmq.subscribe("a/b", { group: "g" }, () => undefined)).toThrow(
    expect.objectContaining({ field: "topic" }),
  );
});

it("knows errors of another copy of the package", async () => {
  vi.resetModules();
  const copy = (await import("../src/index.js")).GmqError;
  expect(copy).not.toBe(GmqError);
  const foreign = new copy("fenced", "from elsewhere");
  expect(foreign instanceof GmqError).toBe(false);
  expect(GmqError.is(foreign)).toBe(true);
  expect(GmqError.is(foreign, "fenced")).toBe(true);
  expect(GmqError.is(foreign, "closed")).toBe(false);
  expect(GmqError.is({ code: "fenced" })).toBe(false);
  expect(GmqError.from(foreign)).toBe(foreign);
});
