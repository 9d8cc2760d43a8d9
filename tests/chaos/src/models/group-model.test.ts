/**
 * Random joins, leaves, hand-backs and heartbeats, asked of two engines over one store in turns: whatever comes, a partition has one owner, passes on only
 * when that owner let go, under a higher epoch, and in the end everything is shared out evenly.
 */
import { randomUUID } from "node:crypto";
import { openTestStore, type TestStore } from "@gmq/e2e/harness/test-store";
import type { Engine, GroupMemberSpec, GroupView, PartitionOwnership } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createRedisEngine } from "@gmq/storage/redis";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";

const partitions = 7;
const group = "g";
const runsEach = 60;
const commandsMax = 40;

/** What the commands have done. */
interface Model {
  /** Living members and the life that they are in. */
  readonly members: Map<string, number>;
  lives: number;
  view: GroupView | undefined;
}

interface Real {
  /** Asked in turns. */
  readonly engines: readonly Engine[];
  turn: number;
}

type Command = fc.AsyncCommand<Model, Real>;

function specOf(memberId: string, life: number): GroupMemberSpec {
  return {
    group,
    memberId,
    incarnation: `${memberId}-${life}`,
    clientId: "",
    clientVersion: "",
    brokerId: "b",
    topics: ["t"],
    sessionTimeoutMs: 600_000,
    staticMember: false,
  };
}

/** The next engine. */
function groupsOf(real: Real): Engine["groups"] {
  return (real.engines[real.turn++ % real.engines.length] as Engine).groups;
}

/** `letGo`: members that gave up what they held since the last view, and places that were given back. */
function check(
  model: Model,
  view: GroupView,
  letGo: ReadonlySet<string>,
  released: ReadonlySet<string> = new Set(),
): void {
  const before = new Map(model.view?.partitions.map((partition) => [placeOf(partition), partition]));
  expect(view.version).toBeGreaterThanOrEqual(model.view?.version ?? 0);
  expect(view.members.map(({ memberId }) => memberId).sort()).toEqual([...model.members.keys()].sort());
  expect(new Set(view.partitions.map(placeOf)).size).toBe(partitions);
  for (const partition of view.partitions) {
    const { memberId, epoch, nextMemberId } = partition;
    if (memberId !== undefined) expect(model.members.has(memberId)).toBe(true);
    if (nextMemberId !== undefined) expect(model.members.has(nextMemberId)).toBe(true);
    if (memberId === undefined) expect(model.members.size).toBe(0);
    const old = before.get(placeOf(partition));
    if (old === undefined) continue;
    expect(epoch).toBeGreaterThanOrEqual(old.epoch);
    if (old.memberId === memberId) continue;
    if (memberId !== undefined) expect(epoch).toBeGreaterThan(old.epoch);
    if (old.memberId !== undefined) expect(letGo.has(old.memberId) || released.has(placeOf(partition))).toBe(true);
  }
  const epochs = view.partitions.filter(({ memberId }) => memberId !== undefined).map(({ epoch }) => epoch);
  expect(new Set(epochs).size).toBe(epochs.length);
  model.view = view;
}

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}

const names = fc.constantFrom("a", "b", "c", "d");

const join = names.map(
  (memberId): Command => ({
    check: () => true,
    toString: () => `join(${memberId})`,
    async run(model, real) {
      const again = model.members.has(memberId);
      model.members.set(memberId, ++model.lives);
      const view = await groupsOf(real).join(specOf(memberId, model.lives), "earliest");
      const kept = model.view?.partitions.filter((partition) => again && partition.memberId === memberId) ?? [];
      check(model, view, new Set());
      // A member in a new life keeps what it had, under a higher epoch: its old life is fenced.
      for (const old of kept) {
        const now = view.partitions.find((partition) => placeOf(partition) === placeOf(old));
        expect(now?.memberId).toBe(memberId);
        expect(now?.epoch).toBeGreaterThan(old.epoch);
      }
    },
  }),
);

const leave = names.map(
  (memberId): Command => ({
    check: ({ members }) => members.has(memberId),
    toString: () => `leave(${memberId})`,
    async run(model, real) {
      await groupsOf(real).leave(specOf(memberId, model.members.get(memberId) ?? 0));
      model.members.delete(memberId);
      const view = await groupsOf(real).get(group);
      check(model, view as GroupView, new Set([memberId]));
    },
  }),
);

const leaveInAnOldLife = names.map(
  (memberId): Command => ({
    check: ({ members }) => (members.get(memberId) ?? 0) > 1,
    toString: () => `leave(${memberId}, in an old life)`,
    async run(model, real) {
      await groupsOf(real).leave(specOf(memberId, (model.members.get(memberId) ?? 0) - 1));
      const view = await groupsOf(real).get(group);
      check(model, view as GroupView, new Set());
    },
  }),
);

const release = names.map(
  (memberId): Command => ({
    check: ({ view }) => askedOf(view, memberId).length > 0,
    toString: () => `release(${memberId})`,
    async run(model, real) {
      const asked = askedOf(model.view, memberId);
      const view = await groupsOf(real).release(specOf(memberId, model.members.get(memberId) ?? 0), asked);
      check(model, view, new Set(), new Set(asked.map(placeOf)));
    },
  }),
);

const heartbeat = names.map(
  (memberId): Command => ({
    check: ({ members }) => members.has(memberId),
    toString: () => `heartbeat(${memberId})`,
    async run(model, real) {
      const life = model.members.get(memberId) ?? 0;
      const { incarnation } = specOf(memberId, life);
      const beats = [incarnation, `${memberId}-${life - 1}`].map((of) => ({
        group,
        memberId,
        incarnation: of,
        sessionTimeoutMs: 600_000,
      }));
      const [living, old] = await groupsOf(real).heartbeat(beats);
      expect([living?.fenced, old?.fenced]).toEqual([false, true]);
      expect(living?.groupVersion).toBe(model.view?.version);
    },
  }),
);

/** What the member holds and is asked for. */
function askedOf(view: GroupView | undefined, memberId: string): PartitionOwnership[] {
  return (
    view?.partitions.filter((partition) => partition.memberId === memberId && partition.nextMemberId !== undefined) ??
    []
  );
}

/** Everybody gives back what is asked for: then it is shared out evenly, in a bounded number of turns. */
async function settleDown(model: Model, real: Real): Promise<void> {
  for (let turn = 0; turn < partitions * 4; turn++) {
    const asked = [...model.members.keys()].find((memberId) => askedOf(model.view, memberId).length > 0);
    if (asked === undefined) break;
    const places = askedOf(model.view, asked);
    const view = await groupsOf(real).release(specOf(asked, model.members.get(asked) ?? 0), places);
    check(model, view, new Set(), new Set(places.map(placeOf)));
  }
  if (model.view === undefined || model.members.size === 0) return;
  expect(model.view.partitions.filter(({ nextMemberId }) => nextMemberId !== undefined)).toEqual([]);
  const sizes = [...model.members.keys()].map(
    (memberId) => model.view?.partitions.filter((partition) => partition.memberId === memberId).length ?? 0,
  );
  expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
}

async function holds(open: () => Promise<readonly Engine[]>): Promise<void> {
  const commands = fc.commands([join, join, leave, leaveInAnOldLife, release, release, heartbeat], {
    maxCommands: commandsMax,
    size: "max",
  });
  await fc.assert(
    fc.asyncProperty(commands, async (some) => {
      const engines = await open();
      const real: Real = { engines, turn: 0 };
      const model: Model = { members: new Map(), lives: 0, view: undefined };
      try {
        await engines[0]?.topics.create("t", { partitions });
        await fc.asyncModelRun(() => ({ model, real }), some);
        await settleDown(model, real);
      } finally {
        for (const engine of engines) await engine.close();
      }
    }),
    { numRuns: runsEach },
  );
}

let store: TestStore;
beforeAll(async () => {
  store = await openTestStore();
});
afterAll(() => store.stop());

test("two coordinators over one Redis", () => {
  return holds(async () => {
    const options = { url: store.url, prefix: `${store.prefix}-${randomUUID().slice(0, 8)}` };
    return [await createRedisEngine(options), await createRedisEngine(options)];
  });
}, 120_000);

test("the embedded engine", () => {
  return holds(async () => [await createEmbeddedEngine({ memory: true })]);
}, 120_000);
