import { describe, expect, it } from "vitest";
import { memberOf } from "../conformance/consumer.js";
import type { GroupMember } from "../engine.js";
import { fenceToldMs, nextFences } from "./fences.js";
import { decodeGroup, encodeGroup, type GroupDocument } from "./group-document.js";

const member = (memberId: string, changes: Partial<GroupMember> = {}): GroupMember => ({
  ...memberOf("g", ["t"], { memberId, incarnation: "1" }),
  joinedAtMs: 1,
  ...changes,
});

function document(owner: string | undefined, members: GroupMember[], partitions = 1): GroupDocument {
  return {
    epoch: 9,
    topics: [{ topic: "t", createdAtMs: 1 }],
    members,
    partitions: Array.from({ length: partitions }, (_, partition) => ({
      topic: "t",
      partition,
      memberId: owner,
      epoch: 9,
      nextMemberId: undefined,
    })),
    holds: [],
  };
}

const own = document("a", [member("a"), member("b")]);
const place = { topic: "t", partition: 0 };
const expired = { ...place, memberId: "a", reason: "expired", atMs: 1_000 };

describe("a fence", () => {
  it("is kept for an owner whose session ran out, was replaced, or was reset away", () => {
    expect(nextFences(own, own, { expired: ["a/1"] }, 1_000)).toEqual([expired]);
    expect(nextFences(own, own, { join: member("a", { incarnation: "2" }) }, 1_000)).toMatchObject([
      { memberId: "a", reason: "replaced" },
    ]);
    const hold = { name: "reset/1", partitions: [place], fence: true };
    expect(nextFences(own, own, { hold }, 1_000)).toMatchObject([{ memberId: "a", reason: "reset" }]);
  });

  it("is kept for a desk, which owns nothing", () => {
    const desks = document(undefined, [member("d", { kind: "desk", epoch: 3 })]);
    expect(nextFences(desks, desks, { expired: ["d/1"] }, 1_000)).toMatchObject([{ memberId: "d", reason: "expired" }]);
  });

  it("is none when the partition is given back, asked back or another member's", () => {
    for (const event of [
      { leave: "a/1" },
      { release: { session: "a/1", partitions: [place] } },
      { hold: { name: "paused", partitions: [place], fence: false } },
      { expired: ["b/1"] },
      { join: member("a") },
    ]) {
      expect(nextFences(own, own, event, 1_000)).toEqual([]);
    }
  });

  it("stays until a later event finds it old, is replaced by the next one, and goes with its partition", () => {
    const known = { ...own, fences: [expired] };
    const late = expired.atMs + fenceToldMs;
    expect(nextFences(known, own, { leave: "b/1" }, late - 1)).toEqual([expired]);
    expect(nextFences(known, own, { leave: "b/1" }, late)).toEqual([]);
    expect(nextFences(known, own, {}, late)).toEqual([expired]);
    expect(nextFences(known, own, { expired: ["a/1"] }, 5_000)).toEqual([{ ...expired, atMs: 5_000 }]);
    expect(nextFences(known, { ...own, partitions: [] }, { leave: "b/1" }, 1_001)).toEqual([]);
  });

  it("is bounded", () => {
    const wide = document("a", [member("a")], 4_000);
    expect(nextFences(wide, wide, { expired: ["a/1"] }, 1_000)).toHaveLength(1_000);
  });

  it("is stored, and a group stored before fences were kept is read and written as it was", () => {
    const known = { ...own, fences: [expired] };
    expect(decodeGroup(encodeGroup(known))).toEqual(known);
    expect(encodeGroup(own)).not.toContain("fences");
    expect(encodeGroup({ ...own, fences: [] })).toBe(encodeGroup(own));
    expect(decodeGroup(encodeGroup(own)).fences).toBeUndefined();
  });
});
