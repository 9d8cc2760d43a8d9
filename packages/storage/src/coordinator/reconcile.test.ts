import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GroupMember, TopicInfo } from "../engine.js";
import { decodeGroup, emptyGroup, encodeGroup, type GroupDocument, sessionOf } from "./group-document.js";
import { type GroupEvent, newPartitions, reconcile } from "./reconcile.js";

function member(memberId: string, incarnation = "1", topics: readonly string[] = ["orders"]): GroupMember {
  return {
    group: "g",
    memberId,
    incarnation,
    clientId: "client",
    clientVersion: "1",
    brokerId: "broker",
    topics,
    sessionTimeoutMs: 10_000,
    staticMember: false,
    joinedAtMs: 1,
  };
}

function topicsOf(counts: Readonly<Record<string, number>>, createdAtMs = 1): Map<string, TopicInfo> {
  return new Map(
    Object.entries(counts).map(([name, partitions]) => [
      name,
      { name, config: { partitions }, createdAtMs, version: 1 },
    ]),
  );
}

const orders4 = topicsOf({ orders: 4 });

function play(document: GroupDocument, events: readonly GroupEvent[], topics = orders4): GroupDocument {
  return events.reduce((now, event) => reconcile(now, event, topics), document);
}

function ownersOf({ partitions }: GroupDocument): (string | undefined)[] {
  return partitions.map(({ memberId }) => memberId);
}

describe("reconcile", () => {
  it("gives a first member everything at once", () => {
    const group = play(emptyGroup(100), [{ join: member("a") }]);
    expect(ownersOf(group)).toEqual(["a", "a", "a", "a"]);
    expect(group.partitions.map(({ epoch }) => epoch)).toEqual([101, 102, 103, 104]);
  });

  it("keeps one hold of a name on a partition, however often and of how many it comes", () => {
    const topics = topicsOf({ orders: 60_000 });
    const all = Array.from({ length: 60_000 }, (_, partition) => ({ topic: "orders", partition }));
    const pause = (partitions: typeof all, name = "paused"): GroupEvent => ({
      hold: { name, partitions, fence: false },
    });
    const once = play(emptyGroup(0), [{ join: member("a") }, pause(all)], topics);
    expect(play(once, [pause(all)], topics)).toEqual(once);
    const twice = play(once, [pause(all.slice(0, 2)), pause(all.slice(1, 3), "reset/1")], topics);
    expect(twice.holds).toHaveLength(60_002);
    expect(
      twice.holds.filter(({ partition }) => partition < 3).map(({ name, partition }) => [partition, name]),
    ).toEqual([
      [2, "paused"],
      [0, "paused"],
      [1, "paused"],
      [1, "reset/1"],
      [2, "reset/1"],
    ]);
  });

  it("asks a living owner to release, and passes on only what it released", () => {
    const asked = play(emptyGroup(0), [{ join: member("a") }, { join: member("b") }]);
    expect(ownersOf(asked)).toEqual(["a", "a", "a", "a"]);
    const moving = asked.partitions.filter(({ nextMemberId }) => nextMemberId === "b");
    expect(moving).toHaveLength(2);
    const [first] = moving;
    const passed = play(asked, [{ release: { session: "a/1", partitions: [first as never] } }]);
    const now = passed.partitions.find(({ partition }) => partition === first?.partition);
    expect(now).toMatchObject({ memberId: "b", nextMemberId: undefined });
    expect(now?.epoch).toBeGreaterThan(first?.epoch ?? 0);
    expect(ownersOf(passed).filter((owner) => owner === "a")).toHaveLength(3);
  });

  it("ignores a release by another than the owner", () => {
    const asked = play(emptyGroup(0), [{ join: member("a") }, { join: member("b") }]);
    const all = asked.partitions;
    for (const session of ["b/1", "a/0", "nobody/1"]) {
      expect(play(asked, [{ release: { session, partitions: all } }])).toEqual(asked);
    }
  });

  it("passes on at once what an expired or leaving member had", () => {
    const asked = play(emptyGroup(0), [{ join: member("a") }, { join: member("b") }]);
    for (const event of [{ expired: ["a/1"] }, { leave: "a/1" }]) {
      expect(ownersOf(play(asked, [event]))).toEqual(["b", "b", "b", "b"]);
    }
  });

  it("keeps the partitions of a member that joins with a new incarnation, under new epochs", () => {
    const before = play(emptyGroup(0), [{ join: member("a") }]);
    const after = play(before, [{ join: member("a", "2") }]);
    expect(ownersOf(after)).toEqual(ownersOf(before));
    after.partitions.forEach(({ epoch }, index) => {
      expect(epoch).toBeGreaterThan(before.partitions[index]?.epoch ?? 0);
    });
    // Its earlier life says good-bye too late.
    expect(play(after, [{ leave: "a/1" }, { expired: ["a/1"] }])).toEqual(after);
  });

  it("changes nothing when the same incarnation joins again", () => {
    const group = play(emptyGroup(0), [{ join: member("a") }, { join: member("b") }]);
    expect(play(group, [{ join: member("a") }])).toEqual(group);
  });

  it("frees the partitions of a topic that their owner no longer subscribes to", () => {
    const both = topicsOf({ orders: 1, payments: 1 });
    const wide = play(emptyGroup(0), [{ join: member("a", "1", ["orders", "payments"]) }], both);
    const narrow = play(wide, [{ join: member("a", "2", ["payments"]) }], both);
    expect(ownersOf(narrow)).toEqual([undefined, "a"]);
  });

  it("takes in partitions that were added, and begins anew in a topic that was made again", () => {
    const group = play(emptyGroup(0), [{ join: member("a") }]);
    const grown = reconcile(group, {}, topicsOf({ orders: 6 }));
    expect(ownersOf(grown)).toHaveLength(6);
    expect(newPartitions(group, grown).map(({ partition }) => partition)).toEqual([4, 5]);
    const anew = reconcile(grown, {}, topicsOf({ orders: 2 }, 2));
    expect(newPartitions(grown, anew).map(({ partition }) => partition)).toEqual([0, 1]);
    expect(Math.min(...anew.partitions.map(({ epoch }) => epoch))).toBeGreaterThan(grown.epoch);
    expect(reconcile(anew, {}, new Map()).partitions).toEqual([]);
  });

  it("survives being written down", () => {
    const group = play(emptyGroup(7), [{ join: member("a") }, { join: member("b") }, { leave: "a/1" }]);
    expect(decodeGroup(encodeGroup(group))).toEqual(group);
  });

  it("refuses to read what is not a document, naming the field, or is of a newer format", () => {
    const good = JSON.parse(encodeGroup(play(emptyGroup(7), [{ join: member("a") }]))) as Record<string, unknown>;
    const bad = (change: object): string => JSON.stringify({ ...good, ...change });
    expect(() => decodeGroup(bad({ format: 2 }))).toThrow(expect.objectContaining({ code: "unsupported_version" }));
    for (const [text, field] of [
      ["{", "document"],
      ["[]", "document"],
      [bad({ epoch: -1 }), "document.epoch"],
      [bad({ members: {} }), "document.members"],
      [bad({ topics: [{ topic: "orders" }] }), "document.topics[0].createdAtMs"],
      [
        bad({ partitions: [{ topic: "orders", partition: 0, memberId: 7, epoch: 1 }] }),
        "document.partitions[0].memberId",
      ],
    ]) {
      expect(() => decodeGroup(text as string)).toThrow(expect.objectContaining({ code: "internal", field }));
    }
  });

  it("never has two owners, never takes from the living, and only raises epochs, whatever happens", () => {
    type Step = { kind: "join" | "rejoin" | "leave" | "expire" | "release" | "grow"; id: number; both: boolean };
    const step = fc.record<Step>({
      kind: fc.constantFrom("join", "rejoin", "leave", "expire", "release", "grow"),
      id: fc.integer({ min: 0, max: 4 }),
      both: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let group = emptyGroup(10);
        let lives = 0;
        const counts = { orders: 3, payments: 5 };
        for (const { kind, id, both } of steps) {
          if (kind === "grow") counts[both ? "orders" : "payments"]++;
          const topics = topicsOf(counts);
          const known = group.members.find(({ memberId }) => memberId === `m${id}`);
          const event = eventOf(kind, known, `m${id}`, both, group);
          const next = reconcile(group, event, topics);
          check(group, next, event);
          expect(reconcile(group, event, topics)).toEqual(next);
          expect(decodeGroup(encodeGroup(next))).toEqual(next);
          group = next;
        }
        settle();

        function eventOf(
          what: Step["kind"],
          known: GroupMember | undefined,
          memberId: string,
          wide: boolean,
          now: GroupDocument,
        ): GroupEvent {
          const wanted = wide ? ["orders", "payments"] : ["payments"];
          if (what === "join") return { join: known ?? member(memberId, `i${++lives}`, wanted) };
          if (what === "rejoin") return { join: member(memberId, `i${++lives}`, wanted) };
          if (known === undefined) return {};
          const session = sessionOf(known);
          if (what === "leave") return { leave: session };
          if (what === "expire") return { expired: [session] };
          return { release: { session, partitions: now.partitions.filter(({ partition }) => wide || partition < 2) } };
        }

        /** When everybody does as asked, the group comes to rest with sizes that are even. */
        function settle(): void {
          const topics = topicsOf(counts);
          for (let round = 0; group.partitions.some(({ nextMemberId }) => nextMemberId !== undefined); round++) {
            expect(round).toBeLessThan(50);
            for (const owner of group.members) {
              const asked = group.partitions.filter(
                ({ memberId, nextMemberId }) => memberId === owner.memberId && nextMemberId !== undefined,
              );
              if (asked.length === 0) continue;
              const event = { release: { session: sessionOf(owner), partitions: asked } };
              const next = reconcile(group, event, topics);
              check(group, next, event);
              group = next;
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

function check(before: GroupDocument, after: GroupDocument, event: GroupEvent): void {
  const memberIds = new Set(after.members.map(({ memberId }) => memberId));
  const places = new Set(after.partitions.map(({ topic, partition }) => `${topic}/${partition}`));
  expect(places.size).toBe(after.partitions.length);
  const epochs = new Set<number>();
  for (const now of after.partitions) {
    const subscribed = after.members.filter(({ topics }) => topics.includes(now.topic));
    if (subscribed.length > 0) expect(memberIds).toContain(now.memberId);
    else expect(now.memberId).toBeUndefined();
    if (now.nextMemberId !== undefined) expect(now.nextMemberId).not.toBe(now.memberId);
    if (now.memberId !== undefined) {
      expect(epochs).not.toContain(now.epoch);
      epochs.add(now.epoch);
    }
    const was = before.partitions.find(({ topic, partition }) => topic === now.topic && partition === now.partition);
    if (was === undefined) continue;
    expect(now.epoch).toBeGreaterThanOrEqual(was.epoch);
    const owner = before.members.find(({ memberId }) => memberId === was.memberId);
    if (owner === undefined || now.memberId === was.memberId) continue;
    const released =
      event.release?.session === sessionOf(owner) &&
      event.release.partitions.some(({ topic, partition }) => topic === now.topic && partition === now.partition);
    const stays = after.members.find((candidate) => sessionOf(candidate) === sessionOf(owner));
    expect(released || stays === undefined || !stays.topics.includes(now.topic)).toBe(true);
    if (now.memberId !== undefined) expect(now.epoch).toBeGreaterThan(before.epoch);
  }
  expect(after.epoch).toBeGreaterThanOrEqual(before.epoch);
}
