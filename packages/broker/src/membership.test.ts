import { setImmediate as nextTurn } from "node:timers/promises";
import { silentLogger } from "@gmq/log";
import { type ErrorCode, GmqError } from "@gmq/protocol";
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

describe("a look at a group", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  const joined: GroupView = { group: "g", version: 7, epoch: 4, members: [{ ...spec, joinedAtMs: 0 }], partitions: [] };
  const nobody = (): never => expect.unreachable("it has nothing and stays");
  const events = { assigned: nobody, revoke: nobody, lost: nobody, ended: nobody };

  it.each<[ErrorCode, number]>([
    ["store_unavailable", 25],
    ["conflict", 30],
  ])(
    "is repeated ever more seldom while it fails with %s, also when others ask for it, and at once when they do",
    async (code, most) => {
      vi.useFakeTimers();
      let looks = 0;
      let fails = true;
      const groups = {
        join: async () => joined,
        heartbeat: async () => [{ fenced: false, groupVersion: 7 }],
        get: async () => {
          looks++;
          if (fails) throw new GmqError(code, "READONLY");
          return joined;
        },
      } as unknown as GroupStore;
      const memberships = createMemberships(groups, silentLogger);
      await memberships.join(spec, "earliest", events);
      memberships.signal({ kind: "group", group: "g" });
      await vi.advanceTimersByTimeAsync(30_000);
      expect(looks).toBeGreaterThan(5);
      expect(looks).toBeLessThan(most);

      const before = looks;
      for (let asked = 1; asked <= 10; asked++) {
        memberships.signal({ kind: "group", group: "g" });
        await vi.advanceTimersByTimeAsync(0);
        expect(looks).toBe(before + asked);
      }
      // One waits, not one for each of them.
      await vi.advanceTimersByTimeAsync(30_000);
      expect(looks).toBeLessThan(before + 10 + most);

      fails = false;
      await vi.advanceTimersByTimeAsync(4_000);
      const last = looks;
      await vi.advanceTimersByTimeAsync(30_000);
      expect(looks).toBe(last);
      memberships.close();
    },
  );

  it("is made for a member whose own answer is older than what is known", async () => {
    const other = { ...spec, memberId: "n", incarnation: "n-1" };
    const partition = { topic: "t", partition: 0, memberId: "n", epoch: 5, nextMemberId: undefined };
    const members = [spec, other].map((member) => ({ ...member, joinedAtMs: 0 }));
    const late: GroupView = { ...joined, version: 8, members };
    const newest: GroupView = { ...joined, version: 9, epoch: 5, members, partitions: [partition] };
    let answerLate: (view: GroupView) => void = () => undefined;
    const claimed: string[] = [];
    const groups = {
      join: ({ memberId }: GroupMemberSpec) =>
        memberId === "m"
          ? Promise.resolve(joined)
          : new Promise<GroupView>((resolve) => {
              answerLate = resolve;
            }),
      get: async () => newest,
      claim: async ({ memberId }: { readonly memberId: string }) => {
        claimed.push(memberId);
        return { position: 0n, endOffset: 0n, pending: [] };
      },
    } as unknown as GroupStore;
    const memberships = createMemberships(groups, silentLogger);
    await memberships.join(spec, "earliest", events);
    const joining = memberships.join(other, "earliest", { ...events, assigned: () => undefined });
    memberships.signal({ kind: "group", group: "g" });
    await nextTurn();
    answerLate(late);
    await joining;
    await expect.poll(() => claimed).toEqual(["n"]);
    memberships.close();
  });
});

test("a member whose session ran out joins again once at a time, however often its group is looked at meanwhile", async () => {
  vi.useFakeTimers();
  try {
    const members = [{ ...spec, joinedAtMs: 0 }];
    const partition = { topic: "t", partition: 0, memberId: "m", epoch: 5, nextMemberId: undefined };
    const without: GroupView = { group: "g", version: 8, epoch: 4, members: [], partitions: [] };
    const again: GroupView = { ...without, version: 9, epoch: 5, members, partitions: [partition] };
    let joins = 0;
    let view = without;
    const groups = {
      async join() {
        joins++;
        if (joins === 1) return { ...without, version: 7, members };
        if (joins === 2) throw new GmqError("store_unavailable", "away for a moment");
        view = again;
        return again;
      },
      get: async () => view,
      heartbeat: async () => [{ fenced: false, groupVersion: view.version }],
      claim: async () => ({ position: 0n, endOffset: 0n, pending: [] }),
    } as unknown as GroupStore;
    const memberships = createMemberships(groups, silentLogger);
    const told: string[] = [];
    await memberships.join(spec, "earliest", {
      assigned: ({ epoch }) => told.push(`assigned ${epoch}`),
      revoke: () => expect.unreachable("nobody wants it"),
      lost: () => told.push("lost"),
      ended: (error) => expect.unreachable(error.message),
    });
    for (let look = 0; look < 3; look++) {
      memberships.signal({ kind: "group", group: "g" });
      await vi.advanceTimersByTimeAsync(1);
    }
    await vi.advanceTimersByTimeAsync(2_000);
    expect(joins).toBe(3);
    expect(told).toEqual(["assigned 5"]);
    memberships.close();
  } finally {
    vi.useRealTimers();
  }
});

test("a member's topics that the store could not take are told again, the latest alone", async () => {
  vi.useFakeTimers();
  try {
    const view: GroupView = { group: "g", version: 7, epoch: 4, members: [{ ...spec, joinedAtMs: 0 }], partitions: [] };
    const asked: string[] = [];
    let isAway = false;
    const groups = {
      async join({ topics }: GroupMemberSpec) {
        asked.push(topics.join());
        if (isAway) throw new GmqError("store_unavailable", "away for a moment");
        return view;
      },
      heartbeat: async () => [{ fenced: false, groupVersion: 7 }],
    } as unknown as GroupStore;
    const memberships = createMemberships(groups, silentLogger);
    const nobody = (): void => undefined;
    const membership = await memberships.join(spec, "earliest", {
      assigned: nobody,
      revoke: nobody,
      lost: nobody,
      ended: nobody,
    });
    isAway = true;
    await membership.setTopics(["t", "u"]);
    await membership.setTopics(["t", "u", "v"]);
    isAway = false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(asked).toEqual(["t", "t,u", "t,u,v", "t,u,v"]);
    memberships.close();
  } finally {
    vi.useRealTimers();
  }
});
