import { limits } from "@gmq/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AssignablePartition, type Assignee, assign } from "./assign.js";

const topicNames = ["orders", "payments", "audit"] as const;

const members = fc.uniqueArray(
  fc.record({
    memberId: fc.integer({ min: 0, max: 20 }).map((id) => `m${id}`),
    topics: fc.subarray<string>([...topicNames], { minLength: 1 }),
  }),
  { maxLength: 8, selector: ({ memberId }) => memberId },
);

/** Partitions of the topics, some owned by members that may be gone. */
const partitions = fc
  .array(fc.record({ topic: fc.constantFrom(...topicNames), owner: fc.option(fc.integer({ min: 0, max: 20 })) }), {
    maxLength: 40,
  })
  .map((list) =>
    list.map(
      ({ topic, owner }, partition): AssignablePartition => ({
        topic,
        partition,
        memberId: owner === null ? undefined : `m${owner}`,
      }),
    ),
  );

function sizes(group: readonly Assignee[], owners: readonly (string | undefined)[]): number[] {
  return group.map(({ memberId }) => owners.filter((owner) => owner === memberId).length);
}

function sumOfSquares(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}

/** The most even sizes that any assignment has, by trying all. */
function evenest(group: readonly Assignee[], list: readonly AssignablePartition[]): number {
  let best = Number.POSITIVE_INFINITY;
  const owners: (string | undefined)[] = [];
  function place(index: number): void {
    const partition = list[index];
    if (partition === undefined) {
      best = Math.min(best, sumOfSquares(sizes(group, owners)));
      return;
    }
    const takers = group.filter(({ topics }) => topics.includes(partition.topic));
    if (takers.length === 0) {
      owners[index] = undefined;
      place(index + 1);
    }
    for (const { memberId } of takers) {
      owners[index] = memberId;
      place(index + 1);
    }
  }
  place(0);
  return best;
}

describe("assign", () => {
  it("gives every partition to one member that subscribes to its topic, and to nobody only when there is none", () => {
    fc.assert(
      fc.property(members, partitions, (group, list) => {
        const owners = assign(group, list);
        expect(owners).toHaveLength(list.length);
        owners.forEach((owner, index) => {
          const topic = list[index]?.topic as string;
          const takers = group.filter(({ topics }) => topics.includes(topic)).map(({ memberId }) => memberId);
          if (takers.length === 0) expect(owner).toBeUndefined();
          else expect(takers).toContain(owner);
        });
      }),
    );
  });

  it("makes sizes differ by at most one, with as few moves as that takes, when all subscribe to the same topics", () => {
    fc.assert(
      fc.property(members, partitions, (anyMembers, list) => {
        const group = anyMembers.map(({ memberId }) => ({ memberId, topics: [...topicNames] }));
        if (group.length === 0) return;
        const owners = assign(group, list);
        const after = sizes(group, owners);
        expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(1);
        const before = group.map(({ memberId }) => list.filter((partition) => partition.memberId === memberId).length);
        const floor = Math.floor(list.length / group.length);
        const larger = list.length % group.length;
        // Whoever has most keeps the larger shares: no balanced assignment moves fewer.
        const needed = [...before]
          .sort((left, right) => right - left)
          .reduce((sum, size, rank) => sum + Math.max(0, size - (rank < larger ? floor + 1 : floor)), 0);
        const isMember = (memberId: string | undefined): boolean =>
          group.some((member) => member.memberId === memberId);
        const moved = list.filter(({ memberId }, index) => isMember(memberId) && owners[index] !== memberId);
        expect(moved.length).toBe(needed);
      }),
    );
  });

  it("moves what it has to in the largest group, half of whose members are new", () => {
    const names = Array.from({ length: 16 }, (_, index) => `t${index}`);
    const group = Array.from({ length: limits.membersPerGroupMax }, (_, index) => ({
      memberId: `m${index}`,
      topics: names,
    }));
    const half = group.slice(group.length / 2);
    const list = names.flatMap((topic, at) =>
      Array.from({ length: limits.partitionsPerGroupMax / names.length }, (_, partition) => {
        const { memberId } = half[(at + partition) % half.length] as Assignee;
        return { topic, partition, memberId };
      }),
    );
    const owners = assign(group, list);
    const sizesAfter = new Map<string | undefined, number>();
    for (const owner of owners) sizesAfter.set(owner, (sizesAfter.get(owner) ?? 0) + 1);
    expect(new Set(sizesAfter.values())).toEqual(new Set([list.length / group.length]));
    expect(sizesAfter.size).toBe(group.length);
    expect(list.filter(({ memberId }, index) => owners[index] !== memberId)).toHaveLength(list.length / 2);
  });

  it("is as even as any assignment can be when topics differ", () => {
    const few = fc.uniqueArray(
      fc.record({
        memberId: fc.constantFrom("a", "b", "c"),
        topics: fc.subarray<string>([...topicNames], { minLength: 1 }),
      }),
      { minLength: 1, maxLength: 3, selector: ({ memberId }) => memberId },
    );
    const some = fc.array(
      fc.record({
        topic: fc.constantFrom(...topicNames),
        partition: fc.constant(0),
        memberId: fc.constantFrom(undefined, "a", "b", "c"),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(few, some, (group, list) => {
        expect(sumOfSquares(sizes(group, assign(group, list)))).toBe(evenest(group, list));
      }),
    );
  });

  it("moves along a chain when no direct exchange helps", () => {
    const group = [
      { memberId: "a", topics: ["orders"] },
      { memberId: "b", topics: ["orders", "payments"] },
      { memberId: "c", topics: ["payments"] },
    ];
    const owned = (topic: string, memberId: string, count: number): AssignablePartition[] =>
      Array.from({ length: count }, (_, partition) => ({ topic, partition, memberId }));
    const owners = assign(group, [
      ...owned("orders", "a", 3),
      ...owned("payments", "b", 2),
      ...owned("payments", "c", 1),
    ]);
    expect(sizes(group, owners)).toEqual([2, 2, 2]);
  });

  it("does not depend on the order of members, and keeps what it gave", () => {
    fc.assert(
      fc.property(members, partitions, (group, list) => {
        const owners = assign(group, list);
        expect(assign([...group].reverse(), list)).toEqual(owners);
        const given = list.map((partition, index) => ({ ...partition, memberId: owners[index] }));
        expect(assign(group, given)).toEqual(owners);
      }),
    );
  });

  it("places 4,096 partitions on 1,000 members without a hang", () => {
    const group = Array.from({ length: 1_000 }, (_, id) => ({ memberId: `m${id}`, topics: ["orders"] }));
    const list = Array.from({ length: 4_096 }, (_, partition) => ({ topic: "orders", partition, memberId: "m0" }));
    const startedMs = performance.now();
    const owners = assign(group, list);
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    const after = sizes(group, owners);
    expect(new Set(after)).toEqual(new Set([4, 5]));
  });
});
