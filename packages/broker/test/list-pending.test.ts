/** Which consumer has a pending record: of an exclusive group its owner, of a shared one whoever it was handed to, at whichever broker. */
import { AdminService, SubscriptionMode } from "@gmq/protocol/messages";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { RawSession } from "./harness/raw-session.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;
let session: RawSession;
const closers: (() => Promise<void> | void)[] = [];

beforeEach(async () => {
  test = await startTestBroker({ revokeTimeoutMs: 500 });
  closers.push(() => test.stop());
  session = await test.session();
  await test.engine.topics.create("t", { partitions: 1 });
  await session.publish("t", 0, ["r0", "r1", "r2", "r3"]);
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const list = (at: TestBroker) => at.client(AdminService).listPending({ group: "g", topic: "t", partition: 0 });

/** Each record's offset with the member that has it. */
async function holders(at: TestBroker = test): Promise<[number, string][]> {
  return (await list(at)).records.map(({ offset, memberId }) => [Number(offset), memberId]);
}

/** A consumer that takes so many records, or as many of them as there are. */
async function share(
  at: RawSession,
  records: number,
): Promise<{ readonly assignment: number; readonly memberId: string }> {
  const [assignment] = await at.subscribe("t", "g", 1, 1, SubscriptionMode.SHARED);
  at.grant(records);
  return { assignment: assignment as number, memberId: at.all("subscribed")[0]?.memberId ?? "" };
}

it("is the owner of an exclusive group's partition, also of what waits for its retry", async () => {
  const [assignment] = await session.subscribe("t", "g", 1);
  session.grant(4);
  await expect.poll(async () => (await session.texts()).length).toBe(4);
  await session.settle(assignment as number, 1, 1, { verb: "retry", delayMs: 600_000 });
  const { records, memberId, otherBrokerIds } = await list(test);
  expect(new Set(records.map((record) => record.memberId))).toEqual(new Set([memberId]));
  expect(records.map(({ clientId }) => clientId)).toEqual(Array(4).fill(records[0]?.clientId));
  expect([records.length, otherBrokerIds]).toEqual([4, []]);
});

it("is in a shared group the consumer that it was handed to, and nobody while it waits for one", async () => {
  const one = await share(session, 2);
  await expect.poll(() => session.texts()).toEqual(["r0", "r1"]);
  // The rest of the entry waits in the broker.
  expect(await holders()).toEqual([
    [0, one.memberId],
    [1, one.memberId],
    [2, ""],
    [3, ""],
  ]);
  const second = await test.session();
  const other = await share(second, 2);
  await expect.poll(() => second.texts()).toEqual(["r2", "r3"]);
  expect((await holders()).map(([, member]) => member)).toEqual([
    one.memberId,
    one.memberId,
    other.memberId,
    other.memberId,
  ]);
  await session.settle(one.assignment, 0, 0);
  await second.settle(other.assignment, 2, 2, { verb: "retry", delayMs: 600_000 });
  expect(await holders()).toEqual([
    [1, one.memberId],
    [2, ""],
    [3, other.memberId],
  ]);
  const { records, otherBrokerIds } = await list(test);
  expect(new Set(records.map(({ brokerId }) => brokerId)).size).toBe(1);
  expect(otherBrokerIds).toEqual([]);
  // What a consumer leaves is with nobody until another takes it.
  second.close();
  await expect
    .poll(() => holders())
    .toEqual([
      [1, one.memberId],
      [2, ""],
      [3, ""],
    ]);
});

it("is told by the broker where the consumer is; another one names that broker", async () => {
  const other = await startTestBroker({ engine: test.engine });
  closers.push(() => other.stop());
  const one = await share(session, 4);
  await expect.poll(async () => (await session.texts()).length).toBe(4);
  const elsewhere = await other.session();
  const two = await share(elsewhere, 10);
  await session.publish("t", 0, ["r4"]);
  await expect.poll(() => elsewhere.texts()).toEqual(["r4"]);
  const [here, there] = [await list(test), await list(other)];
  expect(here.records.map(({ memberId }) => memberId)).toEqual([...Array(4).fill(one.memberId), ""]);
  expect(there.records.map(({ memberId }) => memberId)).toEqual(["", "", "", "", two.memberId]);
  expect(here.otherBrokerIds).toEqual([there.records[4]?.brokerId]);
  expect(there.otherBrokerIds).toEqual([here.records[0]?.brokerId]);
  expect(here.records.map(({ brokerId }) => brokerId)).toEqual(there.records.map(({ brokerId }) => brokerId));
});
