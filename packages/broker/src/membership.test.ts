import { silentLogger } from "@gmq/log";
import type { GroupMemberSpec, GroupStore, GroupView, TopicPartition } from "@gmq/storage";
import { afterEach, describe, expect, it, test, vi } from "vitest";
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

describe("the only member of a group that is here", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Joins it to a store that says when the next session of the group runs out; what it asked the store for, and when. */
  async function joinOne(nextExpiryInMs: number) {
    vi.useFakeTimers();
    const view: GroupView = { group: "g", version: 7, epoch: 4, members: [{ ...spec, joinedAtMs: 0 }], partitions: [] };
    const renewedAtMs: number[] = [];
    const lookedAtMs: number[] = [];
    const groups = {
      join: async () => view,
      heartbeat: async () => {
        renewedAtMs.push(performance.now());
        return [{ fenced: false, groupVersion: 7, nextExpiryInMs }];
      },
      get: async () => {
        lookedAtMs.push(performance.now());
        return view;
      },
    } as unknown as GroupStore;
    const memberships = createMemberships(groups, silentLogger);
    const nobody = (): never => expect.unreachable("it has nothing and stays");
    await memberships.join(spec, "earliest", { assigned: nobody, revoke: nobody, lost: nobody, ended: nobody });
    return { memberships, renewedAtMs, lookedAtMs };
  }

  it("is renewed in each third of its session timeout, and its group not looked at while nobody runs out before that", async () => {
    const { memberships, renewedAtMs, lookedAtMs } = await joinOne(spec.sessionTimeoutMs);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(renewedAtMs.length).toBeGreaterThanOrEqual(17);
    expect(renewedAtMs.length).toBeLessThan(25);
    const gapsMs = renewedAtMs.slice(1).map((atMs, index) => atMs - (renewedAtMs[index] as number));
    expect(Math.max(...gapsMs)).toBeLessThan(spec.sessionTimeoutMs / 3 + 200);
    expect(lookedAtMs).toEqual([]);
    memberships.close();
  });

  it("looks at its group as soon as the time of a member elsewhere is up, when that is before its own next renewal", async () => {
    const { memberships, renewedAtMs, lookedAtMs } = await joinOne(1_000);
    await vi.advanceTimersByTimeAsync(spec.sessionTimeoutMs);
    expect(lookedAtMs.length).toBeGreaterThanOrEqual(2);
    expect((lookedAtMs[0] as number) - (renewedAtMs[0] as number)).toBeGreaterThanOrEqual(1_000);
    expect((lookedAtMs[0] as number) - (renewedAtMs[0] as number)).toBeLessThan(1_300);
    memberships.close();
  });
});
