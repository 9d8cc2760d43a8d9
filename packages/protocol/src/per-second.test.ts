import { expect, test } from "vitest";
import { createPerSecond } from "./per-second.js";

test("each has its own share of a second, and a new one in the next", () => {
  let nowMs = 5_000;
  const rate = createPerSecond(2, () => nowMs);
  expect([rate.takes("a"), rate.takes("a"), rate.takes("a"), rate.takes("b")]).toEqual([true, true, false, true]);
  nowMs = 5_999;
  expect(rate.takes("a")).toBe(false);
  nowMs = 6_000;
  expect(rate.takes("a")).toBe(true);
});

test("keeps no more than 10,000 names: all begin anew", () => {
  const rate = createPerSecond(1, () => 0);
  expect([rate.takes("first"), rate.takes("first")]).toEqual([true, false]);
  for (let index = 1; index < 10_000; index++) rate.takes(`n${index}`);
  expect(rate.takes("first")).toBe(true);
});
