/** An operator settles what a consumer was given: through its owner, or as a short-lived one; never past a fence. */
import {
  AdminService,
  type AdminServiceSettlePendingRequest,
  PendingAction,
  SubscriptionMode,
} from "@gmq/protocol/messages";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RawSession } from "./harness/raw-session.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;
let session: RawSession;

beforeEach(async () => {
  test = await startTestBroker({ revokeTimeoutMs: 500 });
  session = await test.session();
  await test.engine.topics.create("t", { partitions: 1 });
  await session.publish("t", 0, ["r0", "r1", "r2", "r3", "r4", "r5"]);
});

afterEach(() => test.stop());

const admin = () => test.client(AdminService);

/** One text a record: its offset, and the code when it was refused. */
async function settle(
  action: PendingAction,
  offsets: readonly number[],
  more: Partial<Pick<AdminServiceSettlePendingRequest, "group" | "topic" | "reason" | "dryRun">> = {},
): Promise<string[]> {
  const request = { group: "g", topic: "t", partition: 0, offsets: offsets.map(BigInt), action, ...more };
  const { outcomes } = await admin().settlePending(request);
  return outcomes.map(({ offset, error }) => (error === undefined ? `${offset}` : `${offset} ${error.code}`));
}

async function pending(): Promise<number[]> {
  const { records } = await admin().listPending({ group: "g", topic: "t", partition: 0 });
  return records.map(({ offset }) => Number(offset));
}

/** A consumer that holds all six records, or fewer. */
async function consume(records = 6): Promise<number> {
  const [assignment] = await session.subscribe("t", "g", 1);
  session.grant(records);
  await expect.poll(async () => (await session.texts()).length).toBe(records);
  return assignment as number;
}

describe("where a consumer owns the partition", () => {
  it("acks, and the consumer's own verdict is accepted later", async () => {
    const assignment = await consume();
    expect(await settle(PendingAction.ACK, [1, 2], { dryRun: true })).toEqual(["1", "2"]);
    expect(await pending()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await settle(PendingAction.ACK, [2, 1])).toEqual(["2", "1"]);
    expect(await pending()).toEqual([0, 3, 4, 5]);
    expect(await settle(PendingAction.ACK, [1, 3])).toEqual(["1 already_settled", "3"]);
    expect(await session.settle(assignment, 0, 5)).toEqual([]);
    expect(await pending()).toEqual([]);
  });

  it("delivers at once what waits for its retry, once, and leaves alone what is with the consumer", async () => {
    const assignment = await consume();
    await session.settle(assignment, 1, 1, { verb: "retry", delayMs: 600_000 });
    await session.settle(assignment, 3, 3, { verb: "retry", delayMs: 600_000 });
    session.grant(10);
    expect(await settle(PendingAction.RETRY, [0, 1])).toEqual(["0 conflict", "1"]);
    await expect.poll(() => session.texts()).toEqual(["r0", "r1", "r2", "r3", "r4", "r5", "r1"]);
    const again = (await session.records()).at(-1);
    // The failed attempt counts; the operator's does not.
    expect(again?.attempts).toBe(1);
    expect(await settle(PendingAction.RETRY, [1])).toEqual(["1 conflict"]);
    expect(await session.settle(assignment, 0, 2)).toEqual([]);
    expect(await pending()).toEqual([3, 4, 5]);
  });

  it("takes what waits in the broker out of its way: it is not delivered any more", async () => {
    const assignment = await consume(2);
    await session.settle(assignment, 0, 0, { verb: "retry", delayMs: 300 });
    // Offsets 2 and 3 were handed out by the store with the entry and wait for credit.
    expect(await settle(PendingAction.ACK, [0, 3])).toEqual(["0", "3"]);
    session.grant(10);
    await expect.poll(() => session.texts()).toEqual(["r0", "r1", "r2", "r4", "r5"]);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await session.texts()).toEqual(["r0", "r1", "r2", "r4", "r5"]);
  });

  it("does not take a record from its owner: it passes on with the partition", async () => {
    await consume();
    expect(await settle(PendingAction.CLAIM, [1, 99], { dryRun: true })).toEqual(["1 conflict", "99 not_delivered"]);
    expect(await settle(PendingAction.CLAIM, [1])).toEqual(["1 conflict"]);
    expect(await session.texts()).toEqual(["r0", "r1", "r2", "r3", "r4", "r5"]);
  });

  it("gives up with a reason, into the group's dead-letter topic", async () => {
    await consume();
    expect(await settle(PendingAction.DEAD_LETTER, [4], { reason: "poison" })).toEqual(["4"]);
    expect(await pending()).toEqual([0, 1, 2, 3, 5]);
    const { letters } = await admin().listDeadLetters({ topic: "t", group: "g" });
    expect(letters.map(({ offset, reason }) => [Number(offset), reason])).toEqual([[4, "poison"]]);
  });

  it("refuses what was never delivered, and a request that makes no sense", async () => {
    await consume();
    expect(await settle(PendingAction.ACK, [99])).toEqual(["99 not_delivered"]);
    await expect(settle(PendingAction.ACK, [])).rejects.toMatchObject({ code: "invalid_argument", field: "offsets" });
    await expect(settle(PendingAction.UNSPECIFIED, [0])).rejects.toMatchObject({ field: "action" });
    await expect(settle(PendingAction.ACK, [0], { group: "nobody" })).rejects.toMatchObject({
      code: "group_not_found",
    });
    await expect(settle(PendingAction.ACK, [0], { topic: "other" })).rejects.toMatchObject({ code: "topic_not_found" });
  });
});

describe("where nobody owns the partition", () => {
  it("owns it for a moment, settles and leaves; an old owner is fenced", async () => {
    await consume();
    session.close();
    const view = async () => (await admin().describeGroup({ group: "g" })).group;
    await expect.poll(async () => (await view())?.members.length).toBe(0);
    const epoch = (await view())?.partitions[0]?.epoch ?? 0n;
    expect(await settle(PendingAction.ACK, [0, 2, 99])).toEqual(["0", "2", "99 not_delivered"]);
    expect(await pending()).toEqual([1, 3, 4, 5]);
    expect((await view())?.members).toEqual([]);
    expect((await view())?.partitions[0]?.epoch).toBeGreaterThan(epoch);
    for (const action of [PendingAction.RETRY, PendingAction.CLAIM])
      await expect(settle(action, [1])).rejects.toMatchObject({ code: "conflict", field: "action" });
  });

  it("waits for nobody: a paused group is left alone", async () => {
    await consume();
    session.close();
    await admin().pauseGroup({ group: "g" });
    await expect(settle(PendingAction.ACK, [0])).rejects.toMatchObject({ code: "conflict" });
    expect(await pending()).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe("in a shared group", () => {
  it("settles what the broker's desk has, and says which brokers may have the rest", async () => {
    const other = await startTestBroker({ engine: test.engine });
    try {
      const [assignment] = await session.subscribe("t", "g", 1, 1, SubscriptionMode.SHARED);
      session.grant(6);
      await expect.poll(async () => (await session.texts()).length).toBe(6);
      const elsewhere = await other.session();
      await elsewhere.subscribe("t", "g", 1, 1, SubscriptionMode.SHARED);
      elsewhere.grant(6);
      await session.publish("t", 0, ["r6"]);
      await expect.poll(() => elsewhere.texts()).toEqual(["r6"]);
      const request = { group: "g", topic: "t", partition: 0, offsets: [1n, 6n], action: PendingAction.ACK };
      const { outcomes, otherBrokerIds } = await admin().settlePending(request);
      expect(outcomes.map(({ offset, error }) => [Number(offset), error?.code])).toEqual([
        [1, undefined],
        [6, "not_delivered"],
      ]);
      expect(otherBrokerIds.length).toBe(1);
      const second = await other.client(AdminService).settlePending({ ...request, offsets: [6n] });
      expect(second.outcomes[0]?.error).toBeUndefined();
      expect(await pending()).toEqual([0, 2, 3, 4, 5]);
      expect(await session.settle(assignment as number, 0, 5)).toEqual([]);
      expect(await pending()).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  /** A consumer that holds all six records, and another one with nothing to do. */
  async function stuckAndIdle() {
    const stuckAt = (await session.subscribe("t", "g", 1, 1, SubscriptionMode.SHARED))[0] as number;
    session.grant(20);
    await expect.poll(async () => (await session.texts()).length).toBe(6);
    const idle = await test.session();
    const idleAt = (await idle.subscribe("t", "g", 1, 1, SubscriptionMode.SHARED))[0] as number;
    return { stuckAt, idle, idleAt };
  }

  it("takes records from the consumer that has them and gives them to another, at no attempt", async () => {
    const { stuckAt, idle, idleAt } = await stuckAndIdle();
    expect(await settle(PendingAction.CLAIM, [1, 2, 99], { dryRun: true })).toEqual(["1", "2", "99 not_delivered"]);
    expect(await settle(PendingAction.CLAIM, [4, 2, 1])).toEqual(["4", "2", "1"]);
    // Nobody else takes them yet: they do not go back to where they were taken from.
    expect(await settle(PendingAction.CLAIM, [1])).toEqual(["1 conflict"]);
    expect((await session.texts()).length).toBe(6);
    idle.grant(10);
    await expect.poll(() => idle.texts()).toEqual(["r1", "r2", "r4"]);
    expect((await idle.records()).map(({ attempts }) => attempts)).toEqual([0, 0, 0]);
    expect(await pending()).toEqual([0, 1, 2, 3, 4, 5]);

    // What the first says of them in one breath with the rest is refused, and the rest is settled.
    expect(await session.settle(stuckAt, 0, 5)).toEqual(["not_delivered", "not_delivered", "not_delivered"]);
    expect(await pending()).toEqual([1, 2, 4]);
    expect(await idle.settle(idleAt, 1, 4)).toEqual([]);
    expect(await pending()).toEqual([]);
  });

  it("passes a consumer over from whom something was taken, until it settles something", async () => {
    const { stuckAt, idle } = await stuckAndIdle();
    idle.grant(20);
    expect(await settle(PendingAction.CLAIM, [5])).toEqual(["5"]);
    await expect.poll(() => idle.texts()).toEqual(["r5"]);
    for (const text of ["r6", "r7", "r8"]) await session.publish("t", 0, [text]);
    await expect.poll(() => idle.texts()).toEqual(["r5", "r6", "r7", "r8"]);
    expect((await session.texts()).length).toBe(6);
    expect(await session.settle(stuckAt, 0, 0)).toEqual([]);
    for (const text of ["r9", "r10"]) await session.publish("t", 0, [text]);
    await expect.poll(async () => (await session.texts()).length).toBe(7);
  });

  it("gives a consumer what was taken from it when the others have gone, and takes its word for it then", async () => {
    const { stuckAt, idle } = await stuckAndIdle();
    expect(await settle(PendingAction.CLAIM, [3])).toEqual(["3"]);
    idle.close();
    await expect.poll(async () => (await session.texts()).at(-1)).toBe("r3");
    expect(await session.settle(stuckAt, 0, 5)).toEqual([]);
    expect(await pending()).toEqual([]);
  });

  it("takes nothing from the only consumer, nor what waits for its retry or is settled", async () => {
    const [assignment] = await session.subscribe("t", "g", 1, 1, SubscriptionMode.SHARED);
    session.grant(6);
    await expect.poll(async () => (await session.texts()).length).toBe(6);
    expect(await settle(PendingAction.CLAIM, [0])).toEqual(["0 conflict"]);
    const idle = await test.session();
    await idle.subscribe("t", "g", 1, 1, SubscriptionMode.SHARED);
    await session.settle(assignment as number, 0, 0);
    await session.settle(assignment as number, 1, 1, { verb: "retry", delayMs: 600_000 });
    const how = { dryRun: true };
    expect(await settle(PendingAction.CLAIM, [0, 1, 2], how)).toEqual(["0 already_settled", "1 conflict", "2"]);
  });
});
