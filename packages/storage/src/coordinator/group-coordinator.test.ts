import { GmqError, limits } from "@gmq/protocol";
import { beforeEach, describe, expect, it } from "vitest";
import { createMemoryGroupStore, type MemoryGroupStore } from "../../test/memory-group-store.js";
import { memberOf } from "../conformance/consumer.js";
import type { GroupMemberSpec, StartPosition } from "../engine.js";
import { createGroupCoordinator, type GroupCoordinator } from "./group-coordinator.js";

let store: MemoryGroupStore;
let coordinator: GroupCoordinator;

const spec = (memberId: string, change: Partial<GroupMemberSpec> = {}): GroupMemberSpec =>
  memberOf("g", ["orders"], { memberId, incarnation: "1", sessionTimeoutMs: 10_000, ...change });
const join = (member: GroupMemberSpec, start: StartPosition = "earliest") => coordinator.join(member, start);

async function ownersNow(group = "g"): Promise<(string | undefined)[]> {
  return (await coordinator.get(group))?.partitions.map(({ memberId }) => memberId) ?? [];
}

beforeEach(() => {
  store = createMemoryGroupStore();
  coordinator = store.coordinator();
  store.setTopic("orders", 4);
});

describe("join", () => {
  it("begins in the topics first, then gives their partitions", async () => {
    const view = await join(spec("a"), { offset: 7n });
    expect(view).toMatchObject({ group: "g", version: 1 });
    expect(view.partitions.map(({ memberId }) => memberId)).toEqual(["a", "a", "a", "a"]);
    expect(view.members[0]?.joinedAtMs).toBe(store.nowMs);
    expect(store.begun).toEqual([0, 1, 2, 3].map((partition) => `g orders/${partition} {"offset":"7"}`));
    await join(spec("b"), "latest");
    expect(store.begun).toHaveLength(4);
  });

  it("begins a topic that a later member brings where that member says", async () => {
    store.setTopic("payments", 1);
    await join(spec("a"));
    await join(spec("b", { topics: ["orders", "payments"] }), "latest");
    expect(store.begun.at(-1)).toBe("g payments/0 latest");
  });

  it.each([
    ["invalid_name", "group", { group: "a{b" }],
    ["invalid_name", "member_id", { memberId: "" }],
    ["invalid_name", "topic", { topics: ["a b"] }],
    ["invalid_argument", "incarnation", { incarnation: "" }],
    ["invalid_argument", "client_id", { clientId: "x".repeat(limits.clientTextBytesMax + 1) }],
    ["invalid_argument", "topics", { topics: [] }],
    [
      "invalid_argument",
      "topics",
      { topics: Array.from({ length: limits.topicsPerSubscriptionMax + 1 }, () => "orders") },
    ],
    ["invalid_argument", "session_timeout_ms", { sessionTimeoutMs: 999 }],
    ["invalid_argument", "session_timeout_ms", { sessionTimeoutMs: Number.NaN }],
    ["topic_not_found", "topics", { topics: ["orders", "nothing"] }],
  ] as const)("refuses with %s naming %s: %o", async (code, field, change) => {
    await expect(join(spec("a", change))).rejects.toMatchObject({ code, field });
    expect(await coordinator.list()).toEqual([]);
  });

  it("refuses a group whose topics have too many partitions", async () => {
    const topics = Array.from({ length: 17 }, (_, number) => `wide-${number}`);
    for (const topic of topics) store.setTopic(topic, 4_096);
    await expect(join(spec("a", { topics }))).rejects.toMatchObject({ code: "invalid_argument", field: "topics" });
  });

  it("makes many joins of one moment in few saves, each answered for itself", async () => {
    const joins = await Promise.allSettled(
      Array.from({ length: 200 }, (_, id) => join(spec(`m${id}`, id === 100 ? { topics: ["nothing"] } : {}))),
    );
    expect(joins.filter(({ status }) => status === "rejected")).toHaveLength(1);
    expect((await coordinator.get("g"))?.members).toHaveLength(199);
    expect(store.saves).toBeLessThanOrEqual(3);
  });

  it("is right whatever other processes do at the same time", async () => {
    const processes = [coordinator, store.coordinator(), store.coordinator(), store.coordinator()];
    await Promise.all(
      processes.flatMap((process, at) => [0, 1, 2].map((id) => process.join(spec(`m${at}${id}`), "earliest"))),
    );
    const view = await coordinator.get("g");
    expect(view?.members).toHaveLength(12);
    expect(view?.version).toBe(store.saves);
  });

  it("gives up with a retryable conflict when others are always faster", async () => {
    store.refuseSaves = 1_000;
    await expect(join(spec("a"))).rejects.toMatchObject({ code: "conflict", retryable: true });
  });
});

describe("sessions", () => {
  it("fences the earlier incarnation of a member, which keeps its partitions", async () => {
    const before = await join(spec("a"));
    const after = await join(spec("a", { incarnation: "2" }));
    expect(after.partitions.map(({ memberId }) => memberId)).toEqual(["a", "a", "a", "a"]);
    expect(after.partitions[0]?.epoch).toBeGreaterThan(before.partitions[0]?.epoch ?? 0);
    const [old, living] = await coordinator.heartbeat([spec("a"), spec("a", { incarnation: "2" })]);
    expect(old).toMatchObject({ fenced: true });
    expect(living).toMatchObject({ fenced: false, groupVersion: 2 });
    await coordinator.leave(spec("a"));
    expect(await ownersNow()).toEqual(["a", "a", "a", "a"]);
  });

  it("passes partitions of a run-out member on with another's heartbeat", async () => {
    await join(spec("a"));
    store.nowMs += 6_000;
    await join(spec("b"));
    store.nowMs += 6_000;
    const [answer] = await coordinator.heartbeat([spec("b")]);
    expect(answer).toMatchObject({ fenced: false, groupVersion: 3 });
    expect(await ownersNow()).toEqual(["b", "b", "b", "b"]);
    expect(await coordinator.heartbeat([spec("a")])).toMatchObject([{ fenced: true }]);
  });

  it("lets a run-out member go when somebody only looks", async () => {
    await join(spec("a"));
    store.nowMs += 10_000;
    expect(await ownersNow()).toEqual([undefined, undefined, undefined, undefined]);
    expect((await coordinator.list())[0]?.members).toEqual([]);
  });

  it("keeps a member that joins again just after its time ran out", async () => {
    await join(spec("a"));
    store.nowMs += 10_000;
    await join(spec("a", { incarnation: "2" }));
    expect(await ownersNow()).toEqual(["a", "a", "a", "a"]);
    store.nowMs += 9_999;
    expect(await coordinator.heartbeat([spec("a", { incarnation: "2" })])).toMatchObject([{ fenced: false }]);
  });

  it("answers heartbeats though a group cannot be looked at", async () => {
    await join(spec("a"));
    store.signal({ kind: "topic", topic: "orders" });
    const broken = createGroupCoordinator(
      { ...store.documents, load: async () => Promise.reject(new GmqError("store_unavailable", "away")) },
      { get: async () => undefined },
      { subscribe: () => () => undefined },
    );
    expect(await broken.heartbeat([spec("a")])).toMatchObject([{ fenced: false, groupVersion: 1 }]);
  });
});

describe("release and leave", () => {
  it("hands over in two phases", async () => {
    await join(spec("a"));
    const asked = await join(spec("b"));
    const moving = asked.partitions.filter(({ nextMemberId }) => nextMemberId === "b");
    expect(moving).toHaveLength(2);
    const done = await coordinator.release(spec("a"), moving);
    expect(done.partitions.filter(({ memberId }) => memberId === "b")).toHaveLength(2);
    await coordinator.leave(spec("a"));
    expect(await ownersNow()).toEqual(["b", "b", "b", "b"]);
  });

  it("has no effect for a member that is not there", async () => {
    await join(spec("a"));
    await coordinator.leave(spec("b"));
    const view = await coordinator.release(spec("b"), [{ topic: "orders", partition: 0 }]);
    expect(view.version).toBe(1);
  });
});

describe("topics that change", () => {
  it("takes in what was added with the first heartbeat after the signal, from its beginning", async () => {
    await join(spec("a"), "latest");
    await coordinator.heartbeat([spec("a")]);
    store.setTopic("orders", 6);
    expect(await coordinator.heartbeat([spec("a")])).toMatchObject([{ fenced: false, groupVersion: 1 }]);
    store.signal({ kind: "topic", topic: "orders" });
    expect(await coordinator.heartbeat([spec("a")])).toMatchObject([{ fenced: false, groupVersion: 2 }]);
    expect(await ownersNow()).toEqual(["a", "a", "a", "a", "a", "a"]);
    expect(store.begun.slice(4)).toEqual(["g orders/4 earliest", "g orders/5 earliest"]);
  });

  it("begins anew, under higher epochs, in a topic that was deleted and made again", async () => {
    const before = await join(spec("a"));
    store.setTopic("orders", 2, 2);
    store.signal({ kind: "resync" });
    await coordinator.heartbeat([spec("a")]);
    const after = await coordinator.get("g");
    expect(after?.partitions).toHaveLength(2);
    expect(after?.partitions[0]?.epoch).toBeGreaterThan(Math.max(...before.partitions.map(({ epoch }) => epoch)));
    expect(store.begun.slice(4)).toEqual(["g orders/0 earliest", "g orders/1 earliest"]);
  });
});

describe("delete", () => {
  it("refuses a group with members and one that is not there", async () => {
    await join(spec("a"));
    await expect(coordinator.delete("g")).rejects.toMatchObject({ code: "group_not_empty" });
    await coordinator.leave(spec("a"));
    await coordinator.delete("g");
    expect(await coordinator.get("g")).toBeUndefined();
    await expect(coordinator.delete("g")).rejects.toMatchObject({ code: "group_not_found" });
    await expect(coordinator.delete("{g}")).rejects.toMatchObject({ code: "invalid_name" });
  });

  it("begins with higher epochs when the group is made again", async () => {
    const first = await join(spec("a"));
    await coordinator.leave(spec("a"));
    await coordinator.delete("g");
    store.nowMs += 1_000;
    const second = await join(spec("a"));
    expect(second.partitions[0]?.epoch).toBeGreaterThan(first.partitions[3]?.epoch ?? 0);
  });
});

describe("reset and pause", () => {
  const reset = { group: "g", topic: "orders", partitions: undefined, dryRun: false, expectedVersion: undefined };

  it("fences owners, moves under epochs between theirs and the next, and gives the partitions back", async () => {
    const before = await join(spec("a"));
    const { partitions } = await coordinator.reset({ ...reset, to: { offset: 10n } });
    expect(partitions.map((move) => [move.before, move.after, move.rereadRecords])).toEqual(
      Array.from({ length: 4 }, () => [40n, 10n, 30]),
    );
    const after = await coordinator.get("g");
    expect(after?.partitions.map(({ memberId }) => memberId)).toEqual(["a", "a", "a", "a"]);
    const moved = store.moved.map((text) => Number(/@(\d+)/.exec(text)?.[1]));
    before.partitions.forEach(({ epoch }, index) => {
      expect(moved[index]).toBeGreaterThan(epoch);
      expect(after?.partitions[index]?.epoch).toBeGreaterThan(moved[index] ?? 0);
    });
  });

  it("changes nothing when it is only asked, and refuses a plan for another state of the group", async () => {
    await join(spec("a"));
    const plan = await coordinator.reset({ ...reset, to: "latest", dryRun: true });
    expect(plan.partitions.map(({ skippedRecords }) => skippedRecords)).toEqual([60, 60, 60, 60]);
    expect(store.moved).toEqual([]);
    await join(spec("b"));
    await expect(coordinator.reset({ ...reset, to: "latest", expectedVersion: plan.version })).rejects.toMatchObject({
      code: "conflict",
      field: "expected_version",
    });
    expect(store.moved).toEqual([]);
  });

  it("lets the group go on when it fails, and when it is cut off", async () => {
    await join(spec("a"));
    store.failMoves = true;
    await expect(coordinator.reset({ ...reset, to: "earliest" })).rejects.toMatchObject({ code: "store_unavailable" });
    expect(await ownersNow()).toEqual(["a", "a", "a", "a"]);

    // Another process dies in the middle: its hold ends by the store's clock.
    store.failMoves = false;
    store.cutOffAfterMoves = 8;
    const stuck = store.coordinator().reset({ ...reset, to: "earliest" });
    await expect(stuck).rejects.toMatchObject({ code: "conflict" });
    store.refuseSaves = 0;
    expect(await ownersNow()).toEqual([undefined, undefined, undefined, undefined]);
    store.nowMs += limits.groupHoldMsMax + 1;
    await join(spec("a"));
    expect(await ownersNow()).toEqual(["a", "a", "a", "a"]);
  });

  it("asks owners to give paused partitions back, and nobody gets them before it is resumed", async () => {
    await join(spec("a"));
    const paused = await coordinator.pause({ group: "g", topic: "orders" });
    expect(paused.partitions.map(({ memberId, hold }) => [memberId, hold])).toEqual(
      Array.from({ length: 4 }, () => ["a", "paused"]),
    );
    await coordinator.release(spec("a"), paused.partitions);
    await join(spec("b"));
    expect(await ownersNow()).toEqual([undefined, undefined, undefined, undefined]);
    await coordinator.resume({ group: "g", topic: undefined });
    expect((await ownersNow()).toSorted()).toEqual(["a", "a", "b", "b"]);
  });
});
