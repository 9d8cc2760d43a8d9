import { describe, expect, it } from "vitest";
import { countUnsettled, freshStates, settleEntry } from "./entry-states.js";

const range = (first: number, last: number, verb: "ack" | "retry" | "release" = "ack", more = {}) => ({
  firstOffset: BigInt(first),
  lastOffset: BigInt(last),
  verb,
  ...more,
});

describe("settleEntry", () => {
  it("settles ranges in any order and says when nothing is left", () => {
    const first = settleEntry(freshStates(5), {
      baseOffset: 100n,
      recordCount: 5,
      ranges: [range(103, 104), range(100, 100)],
    });
    expect(first).toMatchObject({ states: "a..aa", newlySettled: 3, complete: false, refusals: [] });
    const second = settleEntry(first.states, { baseOffset: 100n, recordCount: 5, ranges: [range(100, 104)] });
    expect(second).toMatchObject({ states: "aaaaa", newlySettled: 2, complete: true });
  });

  it("leaves skipped records and counts only what is new", () => {
    expect(settleEntry("ss..", { baseOffset: 0n, recordCount: 4, ranges: [range(0, 3)] })).toMatchObject({
      states: "ssaa",
      newlySettled: 2,
      complete: true,
    });
  });

  it("refuses what is outside the entry and settles the rest", () => {
    const change = settleEntry("...", {
      baseOffset: 10n,
      recordCount: 3,
      ranges: [range(9, 10), range(12, 13), range(12, 11), range(11, 11)],
    });
    expect(change.states).toBe(".a.");
    expect(change.refusals.map(({ error }) => error.code)).toEqual([
      "not_delivered",
      "not_delivered",
      "invalid_argument",
    ]);
  });

  it("retries only unsettled records, in place or by time", () => {
    const change = settleEntry(".a..", {
      baseOffset: 0n,
      recordCount: 4,
      ranges: [range(0, 1, "retry"), range(2, 2, "retry", { delayMs: 50 }), range(3, 3, "retry", { inPlace: true })],
    });
    expect(change.refusals).toMatchObject([{ firstOffset: 0n, error: { code: "already_settled" } }]);
    expect(change.retried).toEqual([
      { from: 2, to: 3, dueInMs: 50 },
      { from: 3, to: 4, dueInMs: undefined },
    ]);
    expect(change.states).toBe(".a..");
  });

  it("release changes nothing", () => {
    expect(settleEntry("..", { baseOffset: 0n, recordCount: 2, ranges: [range(0, 1, "release")] })).toMatchObject({
      states: "..",
      newlySettled: 0,
    });
    expect(countUnsettled("a.s..")).toBe(3);
  });
});
