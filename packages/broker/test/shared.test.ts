/** Shared mode: more consumers than partitions, on one broker and on two. Raw frames, real sockets, an engine in memory. */
import { SubscriptionMode } from "@gmq/protocol/messages";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RawSession } from "./harness/raw-session.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;
const others: TestBroker[] = [];

beforeEach(async () => {
  test = await startTestBroker({ defaultPartitions: 1, revokeTimeoutMs: 3_000 });
});

afterEach(async () => {
  for (const other of others.splice(0)) await other.stop();
  await test.stop();
});

async function secondBroker(): Promise<TestBroker> {
  const other = await startTestBroker({ engine: test.engine, defaultPartitions: 1 });
  others.push(other);
  return other;
}

/** A session with a shared subscription to the one partition of `jobs`, and the number of its assignment. */
async function worker(broker = test): Promise<{ session: RawSession; assignment: number }> {
  const session = await broker.session();
  const [assignment] = await session.subscribe("jobs", "workers", 1, 1, SubscriptionMode.SHARED);
  return { session, assignment: assignment as number };
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `r${index}`);
const textsOf = async (sessions: readonly RawSession[]): Promise<string[]> =>
  (await Promise.all(sessions.map((session) => session.texts()))).flat();
const sorted = (texts: readonly string[]): string[] =>
  [...texts].sort((one, other) => Number(one.slice(1)) - Number(other.slice(1)));

async function lag(): Promise<number> {
  const [place] = await test.engine.groups.offsets("workers");
  return place?.lagRecords ?? -1;
}

describe("consumers on one broker", () => {
  it("share one batch of one partition: each record goes to one of them, in equal parts", async () => {
    const publisher = await test.session();
    const workers = await Promise.all([worker(), worker(), worker(), worker()]);
    for (const { session } of workers) session.grant(1_000);
    await publisher.publish("jobs", 0, numbered(200));
    const sessions = workers.map(({ session }) => session);
    await expect.poll(async () => (await textsOf(sessions)).length).toBe(200);
    expect(sorted(await textsOf(sessions))).toEqual(numbered(200));
    for (const session of sessions) {
      const share = (await session.texts()).length;
      expect(share).toBeGreaterThanOrEqual(20);
      expect(share).toBeLessThanOrEqual(80);
    }
  });

  it("go on while one of them does not: a slow job holds nothing but itself", async () => {
    const publisher = await test.session();
    const [slow, quick] = await Promise.all([worker(), worker()]);
    slow.session.grant(1);
    await publisher.publish("jobs", 0, numbered(50));
    await expect.poll(async () => (await slow.session.texts()).length).toBe(1);
    quick.session.grant(1_000);
    await expect.poll(async () => (await quick.session.texts()).length).toBe(49);
    for (const { offset } of await quick.session.records())
      expect(await quick.session.settle(quick.assignment, offset, offset)).toEqual([]);
    expect(await lag()).toBe(1);
    const [held] = await slow.session.records();
    expect(await slow.session.settle(slow.assignment, held?.offset ?? -1n, held?.offset ?? -1n)).toEqual([]);
    expect(await lag()).toBe(0);
  });

  it("settle what they hold, and nothing of another's", async () => {
    const publisher = await test.session();
    const [one, other] = await Promise.all([worker(), worker()]);
    one.session.grant(1);
    await publisher.publish("jobs", 0, ["a", "b"]);
    await expect.poll(async () => (await one.session.texts()).length).toBe(1);
    other.session.grant(1);
    await expect.poll(async () => (await other.session.texts()).length).toBe(1);
    const [mine] = await one.session.records();
    const offset = mine?.offset ?? -1n;
    for (const verb of ["ack", "retry", "release"] as const)
      expect(await other.session.settle(other.assignment, offset, offset, { verb })).toEqual(["not_delivered"]);
    expect(await one.session.settle(one.assignment, offset, offset)).toEqual([]);
    // To say it again is no error, here as anywhere.
    expect(await one.session.settle(one.assignment, offset, offset)).toEqual([]);
    expect(await lag()).toBe(1);
  });

  it("get what another hands back or leaves behind, with the attempts so far", async () => {
    const publisher = await test.session();
    const [leaving, staying] = await Promise.all([worker(), worker()]);
    leaving.session.grant(3);
    await publisher.publish("jobs", 0, ["a", "b", "c"]);
    await expect.poll(async () => (await leaving.session.texts()).length).toBe(3);
    expect(await leaving.session.settle(leaving.assignment, 0, 0, { verb: "retry" })).toEqual([]);
    expect(await leaving.session.settle(leaving.assignment, 1, 1, { verb: "release" })).toEqual([]);
    staying.session.grant(10);
    await expect.poll(async () => sorted(await staying.session.texts())).toHaveLength(2);
    expect((await staying.session.records()).map(({ text, attempts }) => [text, attempts])).toEqual([
      ["a", 1],
      ["b", 0],
    ]);
    leaving.session.close();
    await expect.poll(() => staying.session.texts()).toEqual(["a", "b", "c"]);
    for (const offset of [0, 1, 2])
      expect(await staying.session.settle(staying.assignment, offset, offset)).toEqual([]);
    expect(await lag()).toBe(0);
  });

  it("are refused beside exclusive ones, and the other way round, with the field named", async () => {
    await worker();
    const session = await test.session();
    const answer = await session.ask({
      case: "subscribe",
      value: { subscriptionId: 9, group: "workers", topics: ["jobs"], mode: SubscriptionMode.EXCLUSIVE },
    });
    expect(answer).toMatchObject({
      case: "error",
      value: { code: "invalid_argument", field: "mode", limit: "shared" },
    });
  });

  it("give back what they hold when the group is paused, and go on when it is resumed", async () => {
    const publisher = await test.session();
    const { session, assignment } = await worker();
    session.grant(1);
    await publisher.publish("jobs", 0, ["a", "b"]);
    await expect.poll(() => session.texts()).toEqual(["a"]);
    await test.engine.groups.pause({ group: "workers", topic: undefined });
    await expect.poll(() => session.all("revoked").length).toBe(1);
    // Asked, not cut off: what runs may be settled, then the partition is given back.
    expect(await session.settle(assignment, 0, 0)).toEqual([]);
    await session.askFor({ case: "release", value: { subscriptionId: 1, assignmentIds: [assignment] } }, "released");
    session.grant(10);
    expect(await lag()).toBe(1);
    await test.engine.groups.resume({ group: "workers", topic: undefined });
    await expect.poll(() => session.texts()).toEqual(["a", "b"]);
  });

  it("read partitions that are added, and topics that match a pattern later", async () => {
    const publisher = await test.session();
    const session = await test.session();
    await publisher.publish("work.a", 0, ["a"]);
    const value = { subscriptionId: 1, group: "workers", topicPatterns: ["work.*"], mode: SubscriptionMode.SHARED };
    await session.askFor({ case: "subscribe", value }, "subscribed");
    session.grant(100);
    await expect.poll(() => session.texts()).toEqual(["a"]);
    await test.engine.topics.addPartitions("work.a", 2);
    await publisher.publish("work.a", 1, ["b"]);
    await expect.poll(() => session.texts()).toEqual(["a", "b"]);
    await publisher.publish("work.b", 0, ["c"]);
    await expect.poll(() => session.texts()).toEqual(["a", "b", "c"]);
  });

  it("are explained: who reads, and what the readers wait for", async () => {
    const publisher = await test.session();
    const { session, assignment } = await worker();
    await publisher.publish("jobs", 0, ["a"]);
    const second = await secondBroker();
    const codes = async (url: string): Promise<string[]> => {
      const response = await fetch(`${url}/gmq.v1.AdminService/ExplainGroup`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ group: "workers", topic: "jobs", partition: 0 }),
      });
      const { conditions } = (await response.json()) as { conditions: { code: string }[] };
      return conditions.map(({ code }) => code);
    };
    expect(await codes(test.url)).toEqual(["no_credit"]);
    expect(await codes(second.url)).toEqual(["owner_elsewhere"]);
    session.grant(1);
    await expect.poll(() => codes(test.url)).toEqual(["in_flight"]);
    expect(await session.settle(assignment, 0, 0)).toEqual([]);
    expect(await codes(test.url)).toEqual(["caught_up"]);
  });

  it("begin again after a reset, and lose what they held", async () => {
    const publisher = await test.session();
    const { session, assignment } = await worker();
    session.grant(100);
    await publisher.publish("jobs", 0, ["a", "b"]);
    await expect.poll(() => session.texts()).toEqual(["a", "b"]);
    const reset = { group: "workers", topic: "jobs", partitions: undefined, to: "earliest", dryRun: false } as const;
    await test.engine.groups.reset({ ...reset, expectedVersion: undefined });
    await expect.poll(() => session.texts()).toEqual(["a", "b", "a", "b"]);
    await expect(session.settle(assignment, 0, 0)).rejects.toThrow(/error|assignment/);
  });
});

describe("consumers on two brokers", () => {
  it("read one partition beside each other: every record once", async () => {
    const publisher = await test.session();
    const second = await secondBroker();
    const workers = await Promise.all([worker(), worker(), worker(second), worker(second)]);
    for (const { session } of workers) session.grant(30);
    for (let batch = 0; batch < 20; batch++)
      await publisher.publish("jobs", 0, numbered(200).slice(10 * batch, 10 * batch + 10));
    const settled = new Set<bigint>();
    await expect
      .poll(async () => {
        for (const { session, assignment } of workers) {
          for (const { offset } of await session.records()) {
            if (settled.has(offset)) continue;
            settled.add(offset);
            expect(await session.settle(assignment, offset, offset)).toEqual([]);
            session.grant(1);
          }
        }
        return settled.size;
      })
      .toBe(200);
    const all = await textsOf(workers.map(({ session }) => session));
    expect(sorted(all)).toEqual(numbered(200));
    for (const half of [workers.slice(0, 2), workers.slice(2)])
      expect((await textsOf(half.map(({ session }) => session))).length).toBeGreaterThan(0);
    await expect.poll(lag).toBe(0);
  });

  it("take over what the consumers of a broker that left had", async () => {
    const publisher = await test.session();
    const second = await secondBroker();
    const [staying, going] = [await worker(), await worker(second)];
    going.session.grant(3);
    await publisher.publish("jobs", 0, ["a", "b", "c"]);
    await expect.poll(async () => (await going.session.texts()).length).toBe(3);
    expect(await going.session.settle(going.assignment, 1, 1)).toEqual([]);
    staying.session.grant(10);
    await second.stop();
    await expect.poll(() => staying.session.texts()).toEqual(["a", "c"]);
    for (const offset of [0, 2]) expect(await staying.session.settle(staying.assignment, offset, offset)).toEqual([]);
    await expect.poll(lag).toBe(0);
  });
});
