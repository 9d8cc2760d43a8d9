import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLanes, type Park } from "./lanes.js";

interface Item {
  readonly id: number;
  readonly lane: string | undefined;
}

/** Work that a test ends by hand, in any order. */
function createWork(concurrency: number, work?: (item: Item, park: Park) => Promise<void>) {
  const begun: Item[] = [];
  const running = new Map<number, () => void>();
  const ended: number[] = [];
  const lanes = createLanes<Item>(concurrency, async (item, park) => {
    begun.push(item);
    await (work?.(item, park) ??
      new Promise<void>((resolve) => {
        running.set(item.id, resolve);
      }));
    running.delete(item.id);
    ended.push(item.id);
  });
  const finish = async (id: number): Promise<void> => {
    running.get(id)?.();
    await turn();
  };
  return { lanes, begun, running, ended, finish };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const ids = (items: readonly Item[]): number[] => items.map(({ id }) => id);

describe("lanes", () => {
  it("run one item of a lane at a time, in order, while others go on", async () => {
    const { lanes, begun, finish } = createWork(10);
    [..."aabab"].forEach((lane, id) => lanes.add({ id, lane }, lane));
    expect(ids(begun)).toEqual([0, 2]);
    await finish(2);
    expect(ids(begun)).toEqual([0, 2, 4]);
    await finish(0);
    await finish(1);
    expect(ids(begun)).toEqual([0, 2, 4, 1, 3]);
  });

  it("without a name are one for each item", () => {
    const { lanes, begun } = createWork(3);
    for (let id = 0; id < 5; id++) lanes.add({ id, lane: undefined }, undefined);
    expect(ids(begun)).toEqual([0, 1, 2]);
    expect(lanes.waiting).toBe(2);
  });

  it("go on at once when the work is done without a promise, and keep their order when it adds more", () => {
    const begun: number[] = [];
    const lanes = createLanes<number>(1, (id) => {
      begun.push(id);
      if (id < 3) lanes.add(id + 10, "a");
      return undefined;
    });
    for (const id of [0, 1, 2]) lanes.add(id, "a");
    expect(begun.toSorted((left, right) => left - right)).toEqual([0, 1, 2, 10, 11, 12]);
    expect(begun.filter((id) => id < 10)).toEqual([0, 1, 2]);
    expect([lanes.running, lanes.waiting]).toEqual([0, 0]);
  });

  it("give the place of a parked item to another, but not its lane", async () => {
    const waits = new Map<number, () => void>();
    const work = createWork(1, (item, park) =>
      item.id === 0 ? park(new Promise((resolve) => waits.set(0, resolve))) : Promise.resolve(),
    );
    work.lanes.add({ id: 0, lane: "a" }, "a");
    work.lanes.add({ id: 1, lane: "a" }, "a");
    work.lanes.add({ id: 2, lane: "b" }, "b");
    let idle = false;
    void work.lanes.idle().then(() => {
      idle = true;
    });
    await turn();
    expect(work.ended).toEqual([2]);
    expect([work.lanes.running, work.lanes.waiting, idle]).toEqual([1, 1, false]);
    waits.get(0)?.();
    await turn();
    expect(work.ended).toEqual([2, 0, 1]);
    await work.lanes.idle();
    expect(idle).toBe(true);
  });

  it("keep their order and bound, run everything once and find an end, whatever comes", async () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant("add" as const), lane: fc.constantFrom("a", "b", "c", undefined) }),
      },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant("finish" as const), pick: fc.nat() }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant("remove" as const), lane: fc.constantFrom("a", "b", undefined) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 60 }),
        async (concurrency, steps) => {
          const { lanes, begun, running, ended, finish } = createWork(concurrency);
          const added: Item[] = [];
          const removed: number[] = [];
          for (const next of steps) {
            if (next.kind === "add") {
              const item = { id: added.length, lane: next.lane };
              added.push(item);
              lanes.add(item, item.lane);
            } else if (next.kind === "finish") {
              const open = [...running.keys()];
              if (open.length > 0) await finish(open[next.pick % open.length] as number);
            } else removed.push(...ids(lanes.remove(({ lane }) => lane === next.lane)));
            expect(running.size).toBeLessThanOrEqual(concurrency);
            const named = begun.filter(({ id, lane }) => running.has(id) && lane !== undefined).map(({ lane }) => lane);
            expect(new Set(named).size).toBe(named.length);
            // Nothing waits that could run.
            if (running.size < concurrency)
              for (const { id, lane } of added)
                if (!ids(begun).includes(id) && !removed.includes(id)) expect(named).toContain(lane);
            expect(lanes.running + lanes.waiting).toBe(added.length - ended.length - removed.length);
          }
          while (running.size > 0) await finish([...running.keys()][0] as number);
          await lanes.idle();
          expect([...ids(begun), ...removed].sort((left, right) => left - right)).toEqual(ids(added));
          for (const lane of ["a", "b", "c"]) {
            const own = ids(begun.filter((item) => item.lane === lane));
            expect(own).toEqual(own.toSorted((left, right) => left - right));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("let go of what is done, while others still wait", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    let finish: (() => void) | undefined;
    const lanes = createLanes<object>(1, () => new Promise((resolve) => (finish = resolve)));
    const done = Array.from({ length: 100 }, () => {
      const item = {};
      lanes.add(item, undefined);
      return new WeakRef(item);
    });
    lanes.add({}, undefined);
    for (const _ of done) {
      finish?.();
      await turn();
    }
    await turn();
    collect();
    // What ended last may still be in the hands of the promise that ended it.
    expect(done.filter((item) => item.deref() !== undefined).length).toBeLessThan(5);
    expect(lanes.running).toBe(1);
  });
});
