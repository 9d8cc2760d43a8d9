import { constants, type NodeGCPerformanceDetail, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { createInFlight } from "./in-flight.js";

test("what is under way is found by its number, once", () => {
  const inFlight = createInFlight<string>();
  const [a, b] = [inFlight.add("a"), inFlight.add("b")];
  expect(inFlight.get(a)).toBe("a");
  expect(inFlight.remove(a)).toBe("a");
  expect(inFlight.remove(a)).toBeUndefined();
  expect(inFlight.get(a)).toBeUndefined();
  expect(inFlight.get(0)).toBeUndefined();
  expect(inFlight.size).toBe(1);
  expect(inFlight.drain()).toEqual(["b"]);
  expect(inFlight.get(b)).toBeUndefined();
  expect(inFlight.size).toBe(0);
});

test("one that stays is passed over by those that come and go, and no number is given again soon", () => {
  const inFlight = createInFlight<number>();
  const staying = inFlight.add(-1);
  const given = new Set([staying]);
  for (let index = 0; index < 100_000; index++) {
    const number = inFlight.add(index);
    expect(given.has(number)).toBe(false);
    given.add(number);
    expect(inFlight.remove(number)).toBe(index);
  }
  expect(inFlight.get(staying)).toBe(-1);
  expect(inFlight.oldest()).toBe(-1);
});

test("many at once are kept apart and given back in the order in which they came", () => {
  const inFlight = createInFlight<number>();
  const numbers = Array.from({ length: 10_000 }, (_, index) => inFlight.add(index));
  for (let index = 0; index < numbers.length; index += 3) inFlight.remove(numbers[index] as number);
  const left = numbers.map((_, index) => index).filter((index) => index % 3 !== 0);
  for (const index of left) expect(inFlight.get(numbers[index] as number)).toBe(index);
  expect(inFlight.size).toBe(left.length);
  expect(inFlight.drain()).toEqual(left);
});

/** Bytes that requests leave in the old generation, while no collection of the whole heap happens. */
function leftOld(pass: (request: object) => void): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void;
  const oldBytes = (): number =>
    getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")?.space_used_size ?? 0;
  for (let round = 0; round < 4; round++) collect({ type: "minor" });
  const before = oldBytes();
  for (let index = 0; index < 200_000; index++) pass({ index, frame: [index, index, index, index] });
  for (let round = 0; round < 2; round++) collect({ type: "minor" });
  return oldBytes() - before;
}

test("requests that were answered leave nothing behind", async () => {
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as (PerformanceEntry & { readonly detail: NodeGCPerformanceDetail })[])
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections++;
  });
  observer.observe({ entryTypes: ["gc"] });
  const map = new Map<number, object>();
  let number = 0;
  const byMap = leftOld((request) => {
    map.set(++number, request);
    map.delete(number - 2);
  });
  const inFlight = createInFlight<object>();
  const bySlots = leftOld((request) => {
    const added = inFlight.add(request);
    inFlight.remove(added - 2);
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  observer.disconnect();
  // The reason for this table: the same with a Map leaves megabytes. Whoever sees this fail can use a Map again.
  if (collections === 0) expect(byMap).toBeGreaterThan(2 * 2 ** 20);
  expect(bySlots).toBeLessThan(2 ** 20);
});
