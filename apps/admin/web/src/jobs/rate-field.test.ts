import { limits } from "@gmq/protocol";
import { expect, it } from "vitest";
import { formatCount } from "../parts/format.js";
import { rateOf } from "./rate-field.js";

it("takes whole numbers within the limit, and nothing for no limit", () => {
  expect(rateOf("")).toEqual({ text: "", perSecond: 0, problem: undefined });
  expect(rateOf("1").perSecond).toBe(1);
  expect(rateOf("1000000")).toEqual({ text: "1000000", perSecond: 1_000_000, problem: undefined });
  for (const text of ["0", "-1", "1.5", "1000001", "1e9", "fast"]) {
    expect(rateOf(text), text).toEqual({
      text,
      perSecond: 0,
      problem: `A whole number from 1 to ${formatCount(limits.redriveRateMax)}`,
    });
  }
});
