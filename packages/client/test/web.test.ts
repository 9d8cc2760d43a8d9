/** The browser's client over a real broker; Node's fetch does what a browser's does. In a browser itself: tests/e2e/src/browser.test.ts. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { startTestGmq, type TestGmq } from "../src/testing.js";
import { connect, GmqError, Reject, topic, type WebGmq } from "../src/web.js";

let gmq: TestGmq;
let web: WebGmq;

beforeAll(async () => {
  gmq = await startTestGmq({ partitions: 2 });
  web = connect({ broker: gmq.url });
});

afterAll(async () => {
  await web.close();
  await gmq.close();
});

it("sends typed records and handles them, in order per key", async () => {
  const orders = topic("orders", { value: z.object({ n: z.number().int() }) });
  for (let n = 0; n < 20; n++) {
    const stored = await web.send(orders, { key: `k${n % 3}`, value: { n }, headers: { page: "1" } });
    expect(stored.duplicate).toBe(false);
  }
  const byKey = new Map<string, number[]>();
  const subscription = web.subscribe(
    orders,
    { group: "page", concurrency: 4 },
    ({ key = "", value, headers, attempt }) => {
      expect([headers["page"], attempt]).toEqual(["1", 1]);
      byKey.set(key, [...(byKey.get(key) ?? []), value.n]);
    },
  );
  await gmq.settled("page", { timeoutMs: 15_000 });
  expect([...byKey.values()].flat().length).toBe(20);
  for (const numbers of byKey.values()) expect(numbers).toEqual(numbers.toSorted((left, right) => left - right));
  await subscription.drain();
  await subscription.closed;
  await expect.poll(async () => (await gmq.admin.describeGroup("page")).members.length).toBe(0);
});

it("retries what throws, and dead-letters what is given up or does not fit", async () => {
  const attempts: number[] = [];
  await web.send("tries", { key: "k", value: "again" });
  await web.send("tries", { key: "l", value: "never" });
  const subscription = web.subscribe(
    "tries",
    { group: "g", retry: { backoff: { initialMs: 1, maxMs: 1 } } },
    ({ value, attempt }) => {
      if (new TextDecoder().decode(value) === "never") throw new Reject("no such thing");
      attempts.push(attempt);
      if (attempt < 3) throw new Error("not yet");
    },
  );
  await gmq.settled("g", { timeoutMs: 15_000 });
  expect(attempts).toEqual([1, 2, 3]);
  await subscription.drain();
  const numbers = topic("tries", { value: z.number() });
  const strict = web.subscribe(numbers, { group: "strict" }, () => undefined);
  await gmq.settled("strict", { timeoutMs: 15_000 });
  await strict.close();
  const reasons = async (group: string) =>
    (await gmq.admin.deadLetters("tries", { group })).letters.map(({ reason }) => reason);
  expect(await reasons("g")).toEqual(["no such thing"]);
  expect(await reasons("strict")).toEqual(["schema invalid", "schema invalid"]);
});

it("stores a send once that it tried again, and goes on after a lost stream", async () => {
  const problems: GmqError[] = [];
  const handled: string[] = [];
  const subscription = web.subscribe(
    "lost",
    { group: "g-lost", onProblem: (error) => problems.push(error) },
    ({ value }) => {
      handled.push(new TextDecoder().decode(value));
    },
  );
  await web.send("lost", { key: "k", value: "one" });
  await gmq.settled("g-lost", { timeoutMs: 15_000 });
  const restarted = gmq.restartBroker();
  await web.send("lost", { key: "k", value: "two" });
  await restarted;
  await gmq.settled("g-lost", { timeoutMs: 15_000 });
  expect([...new Set(handled)]).toEqual(["one", "two"]);
  expect(problems.map(({ code }) => code)).toContain("unavailable");
  const stored = await gmq.admin.browse("lost", {
    partition: (await web.send("lost", { key: "k", value: "x" })).partition,
  });
  expect(stored.records.map(({ value }) => new TextDecoder().decode(value))).toEqual(["one", "two", "x"]);
  await subscription.close();
  await subscription.closed;
});

it("answers with typed errors", async () => {
  await expect(web.send("a{b}", { value: "x" })).rejects.toMatchObject({ code: "invalid_name" });
  await expect(web.send(topic("n", { value: z.number() }), { value: "x" as never })).rejects.toMatchObject({
    code: "schema_invalid",
  });
  await expect(web.send("t", { key: "k", value: "x", partition: 99 })).rejects.toMatchObject({
    code: "partition_not_found",
  });
  expect(() => web.subscribe("t", { group: "a/b" }, () => undefined)).toThrow(GmqError);
  const none = undefined as never;
  await expect(web.send("t", none)).rejects.toMatchObject({ code: "invalid_argument", field: "record" });
  await expect(web.send(none, { value: "x" })).rejects.toMatchObject({ code: "invalid_argument", field: "topic" });
  for (const [run, field] of [
    [() => web.subscribe("t", none, none), "options"],
    [() => web.subscribe("t", { group: "g" }, none), "handler"],
  ] as const) {
    expect(run).toThrowError(expect.objectContaining({ code: "invalid_argument", field }));
  }
  expect(() => connect({ broker: "nowhere" })).toThrow(/nowhere/);
  const nowhere = connect({ broker: "http://127.0.0.1:9" });
  await expect(nowhere.send("t", { key: "k", value: "x" }, { timeoutMs: 300 })).rejects.toMatchObject({
    code: "unavailable",
  });
  const stop = new AbortController();
  const given = nowhere.send("t", { key: "k", value: "x" }, { signal: stop.signal, timeoutMs: 20_000 });
  stop.abort();
  await expect(given).rejects.toSatisfy((error) => GmqError.is(error));
  await nowhere.close();
  await expect(nowhere.send("t", { value: "x" })).rejects.toMatchObject({ code: "closed" });
});

it("ends with an error that waiting does not mend", async () => {
  const subscription = web.subscribe(
    topic("bad", { value: z.number() }),
    { group: "f", onInvalid: "fail" },
    () => undefined,
  );
  await gmq.producer().send("bad", { value: "no json" });
  await expect(subscription.closed).rejects.toMatchObject({ code: "schema_invalid" });
});
