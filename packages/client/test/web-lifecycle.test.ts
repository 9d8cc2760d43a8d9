/** How a browser's subscription and its client end, and how they go on after faults; a real broker, behind a proxy where something has to go wrong. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { startTestGmq, type TestGmq } from "../src/testing.js";
import { connect, GmqError, topic, type WebGmq } from "../src/web.js";
import { startWebProxy, type WebProxy } from "./harness/web-proxy.js";

const poll = { timeout: 15_000 };
let gmq: TestGmq;
let proxy: WebProxy;
let web: WebGmq;

beforeAll(async () => {
  gmq = await startTestGmq({ partitions: 1 });
  proxy = await startWebProxy(gmq.url);
  web = connect({ broker: proxy.url });
});

afterEach(() => {
  proxy.decide = () => "pass";
});

afterAll(async () => {
  await web.close();
  await proxy.close();
  await gmq.close();
});

async function lagOf(group: string): Promise<bigint> {
  const { partitions } = await gmq.admin.describeGroup(group);
  return partitions.reduce((total, { lag }) => total + lag, 0n);
}

/** A handler that holds its records until it is let go. */
function holder() {
  const began = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let signal: AbortSignal | undefined;
  let runs = 0;
  return {
    began: began.promise,
    letGo: gate.resolve,
    get signal() {
      return signal;
    },
    get runs() {
      return runs;
    },
    async handle(_: unknown, context: { readonly signal: AbortSignal }) {
      runs++;
      ({ signal } = context);
      began.resolve();
      await gate.promise;
    },
  };
}

it("is closed at once when its signal has fired before", async () => {
  const subscription = web.subscribe("t", { group: "g-aborted", signal: AbortSignal.abort() }, () => undefined);
  await subscription.closed;
  expect(subscription.connected).toBe(false);
});

it("lets a handler that runs send while the client closes", async () => {
  const own = connect({ broker: proxy.url });
  await gmq.producer().send("in", { value: "x" });
  const began = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  own.subscribe("in", { group: "g-close" }, async () => {
    began.resolve();
    await gate.promise;
    await own.send("out", { value: "y" });
  });
  await began.promise;
  const closed = own.close();
  expect(() => own.subscribe("in", { group: "g-close" }, () => undefined)).toThrow(/closed/);
  gate.resolve();
  await closed;
  expect((await gmq.admin.browse("out", { partition: 0 })).records.length).toBe(1);
  expect(await lagOf("g-close")).toBe(0n);
  await expect(own.send("out", { value: "z" })).rejects.toMatchObject({ code: "closed" });
});

it("drains no longer than it is given, and fires the signals then", async () => {
  await gmq.producer().send("held", { value: "x" });
  const held = holder();
  const subscription = web.subscribe("held", { group: "g-held" }, held.handle);
  await held.began;
  const drained = subscription.drain({ timeoutMs: 200 });
  expect(held.signal?.aborted).toBe(false);
  await drained;
  await subscription.closed;
  expect(held.signal?.aborted).toBe(true);
  held.letGo();
  expect(await lagOf("g-held")).toBe(1n);
  await expect(subscription.drain({ timeoutMs: Number.NaN })).rejects.toMatchObject({ field: "timeoutMs" });
});

it("drains no longer than it is given beside a broker that answers no settlement", async () => {
  await gmq.producer().send("mute", { value: "x" });
  proxy.decide = (method) => (method === "Settle" ? "hold" : "pass");
  const handled = Promise.withResolvers<void>();
  const subscription = web.subscribe("mute", { group: "g-mute" }, () => handled.resolve());
  await handled.promise;
  await expect.poll(() => proxy.calls.at(-1), poll).toBe("Settle");
  await subscription.drain({ timeoutMs: 200 });
  await subscription.closed;
});

it("sends what was handled before it leaves, when it is closed", async () => {
  await gmq.producer().send("last", { value: "x" });
  const handled = Promise.withResolvers<void>();
  const subscription = web.subscribe("last", { group: "g-last" }, () => handled.resolve());
  await handled.promise;
  await Promise.resolve();
  await Promise.all([subscription.close(), subscription.close()]);
  expect(await lagOf("g-last")).toBe(0n);
  await expect.poll(async () => (await gmq.admin.describeGroup("g-last")).members, poll).toEqual([]);
});

it("sends what was handled before it fails", async () => {
  await gmq.producer().sendBatch("good-bad", [{ value: "1" }, { value: "no number" }]);
  const subscription = web.subscribe(
    topic("good-bad", { value: z.number() }),
    { group: "g-good-bad", onInvalid: "fail" },
    () => undefined,
  );
  await expect(subscription.closed).rejects.toMatchObject({ code: "schema_invalid", field: "value" });
  expect(await lagOf("g-good-bad")).toBe(1n);
});

it("does not subscribe again while it drains", async () => {
  await gmq.producer().send("drains", { value: "x" });
  const held = holder();
  const before = proxy.calls.filter((method) => method === "Consume").length;
  const problems: string[] = [];
  const subscription = web.subscribe(
    "drains",
    { group: "g-drains", onProblem: ({ code }) => problems.push(code) },
    held.handle,
  );
  await held.began;
  const drained = subscription.drain({ timeoutMs: 3_000 });
  await gmq.restartBroker();
  await expect.poll(() => held.signal?.aborted, poll).toBe(true);
  await drained;
  expect(proxy.calls.filter((method) => method === "Consume").length - before).toBe(1);
  held.letGo();
});

it("says a verdict again that did not arrive, and does not run the handler again for it", async () => {
  await gmq.producer().send("again", { value: "x" });
  let refused = 0;
  proxy.decide = (method) => (method === "Settle" && refused++ < 2 ? "refuse" : "pass");
  const problems: string[] = [];
  let runs = 0;
  const subscription = web.subscribe(
    "again",
    { group: "g-again", onProblem: ({ code }) => problems.push(code) },
    () => {
      runs++;
    },
  );
  await gmq.settled("g-again", { timeoutMs: 15_000 });
  expect([runs, problems]).toEqual([1, ["unavailable", "unavailable"]]);
  await subscription.drain();
});

it("begins a new stream when its broker does not know the one it has", async () => {
  const other = await startTestGmq({ partitions: 1 });
  const stray = await startWebProxy(gmq.url);
  await gmq.producer().send("stray", { value: "x" });
  // A balancer that sends a settlement to a broker that has not the stream.
  let strayed = 0;
  stray.target = (method) => (method === "Settle" && strayed++ === 0 ? other.url : gmq.url);
  const page = connect({ broker: stray.url });
  const problems: string[] = [];
  let runs = 0;
  page.subscribe("stray", { group: "g-stray", onProblem: ({ code }) => problems.push(code) }, () => {
    runs++;
  });
  await gmq.settled("g-stray", { timeoutMs: 15_000 });
  expect(runs).toBe(2);
  expect(problems).toContain("subscription_not_found");
  await page.close();
  await stray.close();
  await other.close();
});

it("goes on after a proxy ended its stream in order", async () => {
  const problems: string[] = [];
  const seen: string[] = [];
  const subscription = web.subscribe(
    "cut",
    { group: "g-cut", onProblem: ({ code }) => problems.push(code) },
    ({ value }) => void seen.push(new TextDecoder().decode(value)),
  );
  await expect.poll(() => subscription.connected, poll).toBe(true);
  proxy.cut();
  await expect.poll(() => problems, poll).toEqual(["unavailable"]);
  await gmq.producer().send("cut", { value: "after" });
  await expect.poll(() => seen, poll).toEqual(["after"]);
  await subscription.close();
});

it("ends when its onProblem throws, and says so", async () => {
  const subscription = web.subscribe(
    "thrower",
    {
      group: "g-thrower",
      onProblem() {
        throw new Error("of the page's own");
      },
    },
    () => undefined,
  );
  await expect.poll(() => subscription.connected, poll).toBe(true);
  proxy.cut();
  await expect(subscription.closed).rejects.toMatchObject({ code: "internal", message: "of the page's own" });
});

it("waits for a token no longer than the call, and asks again for one that could not be had", async () => {
  const never = connect({ broker: gmq.url, auth: { token: () => new Promise<string>(() => undefined) } });
  await expect(never.send("t", { key: "k", value: "x" }, { timeoutMs: 200 })).rejects.toMatchObject({
    code: "deadline_exceeded",
  });
  const stop = new AbortController();
  const given = never.send("t", { value: "x" }, { signal: stop.signal });
  stop.abort(new Error("the page has changed its mind"));
  await expect(given).rejects.toMatchObject({ code: "cancelled" });
  let asked = 0;
  const once = connect({
    broker: gmq.url,
    auth: {
      token() {
        if (asked++ === 0) throw new Error("no token now");
        return "t";
      },
    },
  });
  const problems: GmqError[] = [];
  const subscription = once.subscribe(
    "t",
    { group: "g-token", onProblem: (error) => problems.push(error) },
    () => undefined,
  );
  await expect.poll(() => subscription.connected, poll).toBe(true);
  expect(problems).toMatchObject([{ code: "unavailable", message: expect.stringMatching(/no token now/) }]);
  await once.close();
});

it.each([
  ["broker", () => connect({ broker: "localhost:50051" })],
  ["auth.token", () => connect({ auth: {} as never })],
  ["options", () => connect(null as never)],
  ["mode", () => web.subscribe("t", { group: "g", mode: "broadcast" as never }, () => undefined)],
  ["maxInFlight", () => web.subscribe("t", { group: "g", maxInFlight: 10_001 }, () => undefined)],
  ["key", () => web.send("t", { value: "x", key: 5 as never })],
  ["headers.h", () => web.send("t", { value: "x", headers: { h: 5 as never } })],
  ["partition", () => web.send("t", { value: "x", partition: -1 })],
  ["dedupeId", () => web.send("t", { value: "x", dedupeId: "" })],
  ["deliverAt", () => web.send("t", { value: "x", deliverAt: new Date("never") })],
  ["timeoutMs", () => web.send("t", { value: "x" }, { timeoutMs: Number.NaN })],
])("refuses a %s that is none", async (field, run) => {
  const told = await (async () => run())().then(
    () => "taken",
    (error: unknown) => error,
  );
  expect(told).toMatchObject({ code: "invalid_argument", field });
  expect(GmqError.is(told) && told.limit).not.toBe("");
});
