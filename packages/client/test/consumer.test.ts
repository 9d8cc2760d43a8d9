/** Subscriptions, loops and batch readers: giving up, failing and settling by hand, against a real broker. How they leave: leaving.test.ts. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { connect, type SubscriptionEvent, topic } from "../src/index.js";
import { numbered, text } from "./harness/records.js";
import { useDeployment } from "./harness/test-deployment.js";

const test = useDeployment();

describe("giving up", () => {
  it("receive: its deadline is null, its signal is an error, and nothing is lost by either", async () => {
    await using consumer = test.gmq.consumer("t", { group: "g" });
    expect(await consumer.receive({ timeoutMs: 50 })).toBeNull();
    const abort = new AbortController();
    const receiving = consumer.receive({ signal: abort.signal });
    abort.abort();
    await expect(receiving).rejects.toMatchObject({ code: "cancelled" });
    await expect(consumer.receive({ max: 0 })).rejects.toMatchObject({ code: "invalid_argument", field: "max" });
    await test.publish("t", numbered(3));
    const batch = await consumer.receive({ timeoutMs: 5_000, max: 2 });
    expect(batch?.messages.map(({ value }) => text(value))).toEqual(["r0", "r1"]);
    await batch?.ack();
  });

  it("receive: those who wait at the same time all get something", async () => {
    await using consumer = test.gmq.consumer("t", { group: "g" });
    const waiting = [1, 2, 3].map(() => consumer.receive({ timeoutMs: 10_000, max: 1 }));
    await test.publish("t", numbered(3));
    const batches = await Promise.all(waiting);
    expect(
      batches
        .flatMap((batch) => batch?.messages ?? [])
        .map(({ value }) => text(value))
        .toSorted(),
    ).toEqual(numbered(3));
  });

  it("receive of a consumer that was closed meanwhile tells that", async () => {
    const consumer = test.gmq.consumer("t", { group: "g" });
    const receiving = consumer.receive();
    await consumer.close();
    await expect(receiving).rejects.toMatchObject({ code: "closed" });
  });

  it("messages(): its signal ends the loop and leaves the group", async () => {
    await test.publish("t", numbered(2));
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const message of test.gmq.messages("t", { group: "g", signal: stop.signal })) {
      seen.push(text(message.value));
      await message.ack();
      if (seen.length === 2) setTimeout(() => stop.abort(), 20);
    }
    expect(seen).toEqual(["r0", "r1"]);
    expect(await test.members("g")).toBe(0);
    for await (const _message of test.gmq.messages("t", { group: "g", signal: stop.signal })) expect.unreachable();
  });

  it("subscribe: its signal closes the subscription and fires the handler's", async () => {
    await test.publish("t", ["x"]);
    const stop = new AbortController();
    const fired = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const subscription = test.gmq.subscribe("t", { group: "g", signal: stop.signal }, async (_message, { signal }) => {
      began.resolve();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      fired.resolve();
    });
    await began.promise;
    stop.abort();
    await fired.promise;
    await subscription.closed;
    expect(await test.members("g")).toBe(0);
    expect(await test.lag("g")).toBe(1);
  });
});

describe("a record that fails", () => {
  it("waits with its key, and takes no handler's place meanwhile", async () => {
    await using producer = test.gmq.producer();
    for (const [key, value] of [
      ["a", "a1"],
      ["a", "a2"],
      ["b", "b1"],
      ["b", "b2"],
    ] as const)
      await producer.send("t", { key, value });
    const handled: string[] = [];
    const subscription = test.gmq.subscribe(
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
    expect(await test.lag("g")).toBe(0);
  });

  it("and succeeds at once afterwards is acked, though both verdicts travel together", async () => {
    await test.publish("t", numbered(200));
    const failed: SubscriptionEvent[] = [];
    const subscription = test.gmq.subscribe(
      "t",
      { group: "g", concurrency: 50, orderBy: "none", retry: { backoff: { initialMs: 1, maxMs: 1 } } },
      ({ attempt, offset }) => {
        if (attempt <= Number(offset) % 3) throw new Error("not yet");
      },
    );
    const watching = (async () => {
      for await (const event of subscription.status()) if (event.type === "settleFailed") failed.push(event);
    })();
    await expect.poll(() => test.lag("g")).toBe(0);
    await subscription.drain();
    await watching;
    expect(failed).toEqual([]);
  });

  it("and is retried by the store is overtaken, and comes back with its attempt", async () => {
    await test.publish("t", ["1", "2", "3"], "k");
    const handled: string[] = [];
    const subscription = test.gmq.subscribe(
      "t",
      { group: "g", retry: { backoff: { initialMs: 200, maxMs: 200 }, place: "delayed" } },
      ({ value, attempt }) => {
        handled.push(`${text(value)}@${attempt}`);
        if (text(value) === "1" && attempt === 1) throw new Error("not yet");
      },
    );
    await expect.poll(() => handled).toEqual(["1@1", "2@1", "3@1", "1@2"]);
    await subscription.drain();
    expect(await test.lag("g")).toBe(0);
  });

  it("because its value does not fit goes to the dead letters, and holds no other up", async () => {
    const typed = topic("typed", { value: z.object({ id: z.number() }) });
    await test.publish("typed", ['{"id":1}', "no json", '{"id":"x"}', '{"id":2}']);
    await using consumer = test.gmq.consumer(typed, { group: "g" });
    const batch = await consumer.receive({ timeoutMs: 5_000 });
    expect(batch?.messages.map(({ value }) => value.id)).toEqual([1, 2]);
    await batch?.ack();
    await expect.poll(() => test.lag("g")).toBe(0);
    expect(await test.gmq.admin.deadLetterQueues()).toMatchObject([{ topic: "typed", group: "g", open: 2n }]);
  });
});

describe("by hand", () => {
  it("ack, retry and release do what they say", async () => {
    await test.publish("t", numbered(3));
    await using consumer = test.gmq.consumer("t", { group: "g" });
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
    expect(await test.lag("g")).toBe(0);
  });

  it("holds no more than maxInFlight, and goes on as it is settled", async () => {
    await test.publish("t", numbered(30));
    await using consumer = test.gmq.consumer("t", { group: "g", maxInFlight: { records: 4 } });
    const seen: string[] = [];
    while (seen.length < 30) {
      const batch = await consumer.receive({ timeoutMs: 5_000 });
      expect(batch?.messages.length).toBeLessThanOrEqual(4);
      seen.push(...(batch?.messages ?? []).map(({ value }) => text(value)));
      await batch?.ack();
    }
    expect(seen).toEqual(numbered(30));
  });
});

it("tells what happens to a subscription", async () => {
  const events: SubscriptionEvent[] = [];
  const subscription = test.gmq.subscribe(
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
  await test.publish("t", ["x"]);
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
  const subscribe = (options: object) => () => test.gmq.subscribe("t", { group: "g", ...options }, () => undefined);
  expect(subscribe({ group: "{g}" })).toThrow(expect.objectContaining({ code: "invalid_name", field: "group" }));
  expect(subscribe({ concurrency: 0 })).toThrow(expect.objectContaining({ field: "concurrency" }));
  expect(subscribe({ maxInFlight: { records: 0 } })).toThrow(expect.objectContaining({ field: "maxInFlight.records" }));
  expect(subscribe({ sessionTimeoutMs: 1 })).toThrow(expect.objectContaining({ field: "sessionTimeoutMs" }));
  expect(() => test.gmq.subscribe("a/b", { group: "g" }, () => undefined)).toThrow(
    expect.objectContaining({ field: "topic" }),
  );
});
