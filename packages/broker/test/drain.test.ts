/** A broker that goes away: who is told what, what is waited for, and what the others get. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;

beforeEach(async () => {
  test = await startTestBroker();
});

afterEach(() => test.stop());

it("tells every session, and ends those that have nothing in flight without waiting for the deadline", async () => {
  const idle = await test.session();
  await idle.subscribe("t", "g", 2);
  const startedMs = performance.now();
  await test.broker.drain(60_000);
  expect(performance.now() - startedMs).toBeLessThan(30_000);
  expect(await idle.ended).toMatchObject({ code: "unavailable", retryable: true });
  expect(idle.all("drain")).toMatchObject([{ deadlineMs: 60_000 }]);
  expect((await test.engine.groups.get("g"))?.members).toEqual([]);
  expect(test.broker.sessionCount).toBe(0);
});

it("is done when the clients have gone by themselves, whatever they held", async () => {
  const own = await test.session();
  await own.publish("t", 0, ["a"]);
  await own.subscribe("t", "g", 2);
  own.grant(1);
  await expect.poll(() => own.texts()).toEqual(["a"]);
  const startedMs = performance.now();
  const drained = test.broker.drain(60_000);
  await expect.poll(() => own.all("drain").length).toBe(1);
  own.finish();
  await drained;
  expect(performance.now() - startedMs).toBeLessThan(30_000);
  expect((await test.engine.groups.get("g"))?.members).toEqual([]);
});

it("delivers nothing new, waits for what is with a consumer, and takes its verdict", async () => {
  const own = await test.session();
  await own.publish("t", 0, ["a", "b", "c"]);
  const [assignment] = await own.subscribe("t", "g", 2);
  own.grant(2);
  await expect.poll(() => own.texts()).toEqual(["a", "b"]);
  let done = false;
  const drained = test.broker.drain(30_000).then(() => {
    done = true;
  });
  own.grant(100);
  await sleep(1_200);
  expect(done).toBe(false);
  expect(await own.texts()).toEqual(["a", "b"]);
  await own.publish("t", 0, ["d"]);
  expect(await own.ask({ case: "subscribe", value: { subscriptionId: 2, group: "h", topics: ["t"] } })).toMatchObject({
    case: "error",
    value: { code: "unavailable", retryable: true },
  });
  expect(await own.settle(assignment as number, 0, 1)).toEqual([]);
  await drained;
  const offsets = await test.engine.groups.offsets("g");
  expect(offsets.find(({ partition }) => partition === 0)).toMatchObject({ lagRecords: 2 });
  expect((await test.engine.groups.get("g"))?.members).toEqual([]);
});

it("ends at the deadline, with what is not settled for the next owner", async () => {
  const own = await test.session();
  await own.publish("t", 0, ["a"]);
  await own.subscribe("t", "g", 2);
  own.grant(2);
  await expect.poll(() => own.texts()).toEqual(["a"]);
  const startedMs = performance.now();
  await test.broker.drain(700);
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(690);
  expect(await own.ended).toMatchObject({ code: "unavailable" });
  expect((await test.engine.groups.get("g"))?.partitions.map(({ memberId }) => memberId)).toEqual([
    undefined,
    undefined,
  ]);
});

it("refuses new sessions, and ends those that have not said hello", async () => {
  const silent = await test.session({ hello: false });
  await expect.poll(() => test.broker.sessionCount).toBe(1);
  await test.broker.drain(10_000);
  expect(await silent.ended).toMatchObject({ code: "unavailable" });
  const late = await test.session({ hello: false });
  expect(await late.ended).toMatchObject({ code: "unavailable", retryable: true });
});
