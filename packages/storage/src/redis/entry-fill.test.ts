import fc from "fast-check";
import { expect, it } from "vitest";
import { allocatedBytes, batchesOfEntry } from "./entry-fill.js";

const KiB = 1_024;

it("knows the sizes between powers of two", () => {
  for (const [bytes, taken] of [
    [256 * KiB, 256 * KiB],
    [256 * KiB + 1, 320 * KiB],
    [320 * KiB, 320 * KiB],
    [500 * KiB, 512 * KiB],
    [600 * KiB, 640 * KiB],
    [5_000, 5_120],
  ] as const)
    expect(allocatedBytes(bytes)).toBe(taken);
});

it("leaves out what would not fill the next larger allocation", () => {
  expect(batchesOfEntry([255 * KiB, 8 * KiB])).toBe(1);
  expect(batchesOfEntry(new Array(10).fill(26_250))).toBe(6);
  expect(batchesOfEntry(new Array(12).fill(26_250))).toBe(12);
  expect(batchesOfEntry([100, 200])).toBe(2);
  expect(batchesOfEntry([])).toBe(0);
});

it("takes a prefix of at least half of the bytes that wastes no more than all of them would", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 40 }), (sizes) => {
      const count = batchesOfEntry(sizes);
      const sum = (list: readonly number[]): number => list.reduce((total, bytes) => total + bytes, 0);
      const taken = sizes.slice(0, count);
      expect(count).toBeGreaterThanOrEqual(1);
      expect(sum(taken) * 2).toBeGreaterThanOrEqual(sum(sizes));
      const airOf = (list: readonly number[]): number => allocatedBytes(sum(list) + 160 + 64 * list.length) / sum(list);
      if (sum(sizes) >= 4_096) expect(airOf(taken)).toBeLessThanOrEqual(airOf(sizes) + 1e-9);
    }),
  );
});
