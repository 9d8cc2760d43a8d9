import { expect, it } from "vitest";
import { withGaps } from "./with-gaps.js";

it("ends a line where nobody watched", () => {
  const drawn = withGaps([1, 2, 4, 60, 61], [{ values: [5, 6, 7, 8, 9] }, { values: [0, 0, 0, 1, 1] }]);
  expect(drawn).toEqual([
    [1, 2, 4, 32, 60, 61],
    [5, 6, 7, null, 8, 9],
    [0, 0, 0, null, 1, 1],
  ]);
});

it("draws nothing of nothing", () => {
  expect(withGaps([], [{ values: [] }])).toEqual([[], []]);
});
