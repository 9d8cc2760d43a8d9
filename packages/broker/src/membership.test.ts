import { silentLogger } from "@gmq/log";
import type { GroupMemberSpec, GroupStore, GroupView, TopicPartition } from "@gmq/storage";
import { expect, test } from "vitest";
import { createMemberships } from "./membership.js";

const spec: GroupMemberSpec = {
  group: "g",
  memberId: "m",
  incarnation: "m-2",
  clientId: "",
  clientVersion: "",
  brokerId: "b",
  topics: ["t"],
  sessionTimeoutMs: 10_000,
  staticMember: true,
};

test("a member that comes back while one of its partitions is wanted gives it back at once, and keeps the other", async () => {
  const other = { ...spec, memberId: "n", incarnation: "n-1", joinedAtMs: 0 };
  const wanted = { topic: "t", partition: 0, memberId: "m", epoch: 3, nextMemberId: "n" };
  const kept = { topic: "t", partition: 1, memberId: "m", epoch: 4, nextMemberId: undefined };
  const view: GroupView = {
    group: "g",
    version: 7,
    epoch: 4,
    members: [{ ...spec, joinedAtMs: 0 }, other],
    partitions: [wanted, kept],
  };
  const released: TopicPartition[] = [];
  const assigned: number[] = [];
  const groups = {
    join: async () => view,
    claim: async () => ({ position: 0n, endOffset: 0n, pending: [] }),
    release: async (_member: unknown, partitions: readonly TopicPartition[]) => {
      released.push(...partitions);
      return {
        ...view,
        version: 8,
        partitions: [{ ...wanted, memberId: "n", epoch: 5, nextMemberId: undefined }, kept],
      };
    },
    leave: async () => undefined,
  } as unknown as GroupStore;
  const memberships = createMemberships(groups, silentLogger);
  await memberships.join(spec, "earliest", {
    assigned: ({ partition }) => assigned.push(partition),
    revoke: () => expect.unreachable("it is not read yet"),
    lost: () => expect.unreachable("nothing is lost"),
    ended: (error) => expect.unreachable(error.message),
  });
  await expect.poll(() => released).toEqual([{ topic: "t", partition: 0 }]);
  await expect.poll(() => assigned).toEqual([1]);
  memberships.close();
});
