import { expect, it } from "vitest";
import { createReadyRuns } from "./ready-runs.js";
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
  ready.insert(run(0n, 6));
  ready.insert(run(6n, 2));
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
  const waiting = createWaitingRuns((one) => due.push(one));
  waiting.add({ ...run(0n, 3), delayMs: 100 });
  waiting.add({ ...run(3n, 1), delayMs: 600_000 });
  const taken = waiting.takeOut((offset) => offset === 1n || offset === 3n);
  expect(places(taken)).toEqual([
    [0, 1, 2],
    [3, 0, 1],
  ]);
  expect(taken[1]?.delayMs).toBeGreaterThan(500_000);
  await expect
    .poll(() => places(due))
    .toEqual([
      [0, 0, 1],
      [0, 2, 3],
    ]);
  waiting.clear();
});
