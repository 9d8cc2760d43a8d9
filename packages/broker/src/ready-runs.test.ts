import fc from "fast-check";
import { expect, it, vi } from "vitest";
import { createReadyRuns, type ReadyRun } from "./ready-runs.js";
import { createWaitingRuns } from "./waiting-runs.js";

const run = (baseOffset: bigint, recordCount: number, from = 0, to = recordCount) => ({
  baseOffset,
  recordCount,
  from,
  to,
});
const places = (runs: readonly { baseOffset: bigint; from: number; to: number }[]) =>
  runs.map(({ baseOffset, from, to }) => [Number(baseOffset), from, to]);

it("takes single records out of what is to be delivered, and leaves the rest in order", () => {
  const ready = createReadyRuns();
  ready.insert([run(0n, 6), run(6n, 2)]);
  const taken = ready.takeOut((offset) => offset === 0n || offset === 3n || offset === 7n);
  expect(places(taken)).toEqual([
    [0, 0, 1],
    [0, 3, 4],
    [6, 1, 2],
  ]);
  const left = [];
  for (let first = ready.first; first !== undefined; first = ready.first) {
    left.push(first);
    ready.takeOut(
      (offset) =>
        offset >= (first?.baseOffset ?? 0n) + BigInt(first?.from ?? 0) &&
        offset < (first?.baseOffset ?? 0n) + BigInt(first?.to ?? 0),
    );
  }
  expect(places(left)).toEqual([
    [0, 1, 3],
    [0, 4, 6],
    [6, 0, 1],
  ]);
});

it("takes single records out of what waits for its retry, with what is left of the delay", async () => {
  const due: { baseOffset: bigint; from: number; to: number }[] = [];
  const waiting = createWaitingRuns((runs) => due.push(...runs));
  waiting.add({ ...run(0n, 3), delayMs: 100 });
  waiting.add({ ...run(3n, 1), delayMs: 600_000 });
  const taken = waiting.takeOut((offset) => offset === 1n || offset === 3n);
  expect(places(taken)).toEqual([
    [0, 1, 2],
    [3, 0, 1],
  ]);
  expect(taken[1]?.delayMs).toBeGreaterThan(500_000);
  await expect
    .poll(() => places(due.toSorted((left, right) => left.from - right.from)))
    .toEqual([
      [0, 0, 1],
      [0, 2, 3],
    ]);
  waiting.clear();
});

it("stands in order of offsets whatever comes back together, what was there first before what is equal to it", () => {
  const runs = fc.array(
    fc
      .array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 3 })), { maxLength: 12 })
      .map((items) => items.map(([base, from]) => run(BigInt(base), 100, from))),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(runs, fc.nat({ max: 5 }), (groups, takenMax) => {
      const ready = createReadyRuns();
      // One by one, each before the first that lies above it.
      const expected: ReturnType<typeof run>[] = [];
      for (const group of groups) {
        ready.insert(group);
        for (const one of group) {
          const offset = one.baseOffset + BigInt(one.from);
          const at = expected.findIndex((other) => other.baseOffset + BigInt(other.from) > offset);
          expected.splice(at < 0 ? expected.length : at, 0, one);
        }
        for (let taken = 0; taken < takenMax && ready.first !== undefined; taken++) {
          expect(places([takeWhole(ready)])).toEqual(places(expected.splice(0, 1)));
        }
      }
      while (ready.first !== undefined) expect(places([takeWhole(ready)])).toEqual(places(expected.splice(0, 1)));
      expect(expected).toEqual([]);
    }),
  );
});

it("compares a few offsets for each run that comes back, however many stand there", () => {
  const ready = createReadyRuns();
  ready.insert(Array.from({ length: 2_000 }, (_, at) => run(BigInt(at * 2), 1)));
  const due = Array.from({ length: 2_000 }, (_, at) => run(BigInt(at * 2 + 1), 1)).reverse();
  // Each comparison makes offsets of two runs.
  const compared = vi.spyOn(globalThis, "BigInt");
  try {
    ready.insert(due);
    for (let at = 0; at < 100; at++) ready.insert([run(BigInt(3_000 + at), 1)]);
    expect(compared.mock.calls.length).toBeLessThan(100_000);
  } finally {
    compared.mockRestore();
  }
  expect(places(ready.takeOut((offset) => offset < 4n))).toEqual([
    [0, 0, 1],
    [1, 0, 1],
    [2, 0, 1],
    [3, 0, 1],
  ]);
});

it("tells what is due together at once, waits for the rest with one timer, and counts what waits", () => {
  vi.useFakeTimers();
  try {
    const told: (readonly { baseOffset: bigint; from: number; to: number }[])[] = [];
    const waiting = createWaitingRuns((runs) => told.push(runs));
    const delays = [500, 100, 500, 4_000_000_000, 300, 100];
    for (const [at, delayMs] of delays.entries()) waiting.add({ ...run(BigInt(at), 2), delayMs });
    expect(vi.getTimerCount()).toBe(1);
    expect(waiting.records).toBe(12);
    vi.advanceTimersByTime(600);
    expect(told.map((runs) => runs.map(({ baseOffset }) => Number(baseOffset)).sort())).toEqual([[1, 5], [4], [0, 2]]);
    expect(waiting.records).toBe(2);
    // Longer than a timer can be: not before its time.
    vi.advanceTimersByTime(3_999_999_000);
    expect(told).toHaveLength(3);
    vi.advanceTimersByTime(1_000);
    expect(told).toHaveLength(4);
    expect([waiting.records, vi.getTimerCount()]).toEqual([0, 0]);
  } finally {
    vi.useRealTimers();
  }
});

function takeWhole(ready: ReturnType<typeof createReadyRuns>) {
  const first = ready.first as ReadyRun;
  const entry = { ...first, meta: new Uint8Array(), body: new Uint8Array() };
  // Taken out by hand: a run that is a part would have to be cut.
  const taken = ready.take({ ...first, from: 0, to: first.recordCount, entry }, 1_000, 1_000);
  expect(taken).toBeDefined();
  return first;
}
