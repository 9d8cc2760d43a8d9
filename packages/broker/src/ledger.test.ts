import { limits } from "@gmq/protocol";
import type { SettleRange } from "@gmq/storage";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLedger, type LedgerSettle } from "./ledger.js";
import { conflictsOf } from "./settle-ranges.js";

const range = (
  first: number,
  last: number,
  verb: SettleRange["verb"] = "ack",
  more: Partial<SettleRange> = {},
): SettleRange => ({
  firstOffset: BigInt(first),
  lastOffset: BigInt(last),
  verb,
  ...more,
});
const run = (base: number, count: number, from = 0, to = count) => ({
  baseOffset: BigInt(base),
  recordCount: count,
  from,
  to,
});

function withTwoEntries() {
  const ledger = createLedger();
  ledger.add(0n, 10);
  ledger.add(10n, 5);
  ledger.delivered(run(0, 10));
  ledger.delivered(run(10, 5));
  return ledger;
}

describe("ledger", () => {
  it("splits a range over entries and forgets what is wholly settled", () => {
    const ledger = withTwoEntries();
    const plan = ledger.plan([range(0, 14)]);
    expect(plan.entries).toMatchObject([
      { baseOffset: 0n, recordCount: 10, ranges: [{ firstOffset: 0n, lastOffset: 9n }] },
      { baseOffset: 10n, recordCount: 5, ranges: [{ firstOffset: 10n, lastOffset: 14n }] },
    ]);
    expect(ledger.heldRecords).toBe(15);
    ledger.settled(plan.entries);
    expect(ledger.heldRecords).toBe(0);
    expect(ledger.plan([range(0, 14)])).toMatchObject({ entries: [], refusals: [] });
    expect(ledger.plan([range(3, 3, "retry")]).refusals[0]?.error.code).toBe("already_settled");
  });

  it("takes back what the store forgot of an entry, also when the rest of it was settled meanwhile", () => {
    const ledger = withTwoEntries();
    ledger.settled(ledger.plan([range(2, 4), range(10, 11)]).entries);
    const before = ledger.settledIndexes();
    expect(before.get(0n)).toEqual(new Set([2, 3, 4]));
    // Settled while the store was asked: known, and no loss.
    ledger.settled(ledger.plan([range(6, 6), range(12, 14)]).entries);
    const pending = { attempts: [], due: [], handBacks: { takeOvers: 0, releases: [] } };
    const first = { ...pending, baseOffset: 0n, recordCount: 10, states: "..a......." };
    expect(ledger.reopen(first, before.get(0n) as Set<number>)).toEqual([run(0, 10, 3, 5)]);
    expect(ledger.reopen({ ...pending, baseOffset: 10n, recordCount: 5, states: "" }, new Set([0, 1]))).toEqual([
      run(10, 5, 0, 2),
    ]);
    expect(ledger.heldRecords).toBe(6);
    expect(ledger.plan([range(3, 3)]).refusals[0]?.error.code).toBe("not_delivered");
    ledger.delivered(run(0, 10, 3, 5));
    ledger.delivered(run(10, 5, 0, 2));
    expect(ledger.heldRecords).toBe(10);
    ledger.settled(ledger.plan([range(0, 14)]).entries);
    expect(ledger.settledIndexes().size).toBe(0);
  });

  it("refuses what was never delivered, wholly or in part, and keeps the rest", () => {
    const ledger = createLedger();
    ledger.add(0n, 10);
    ledger.delivered(run(0, 10, 0, 4));
    const plan = ledger.plan([range(0, 1), range(3, 4), range(50, 51), range(2, 1)]);
    expect(plan.refusals.map(({ firstOffset, error }) => [firstOffset, error.code])).toEqual([
      [3n, "not_delivered"],
      [50n, "not_delivered"],
      [2n, "not_delivered"],
    ]);
    expect(plan.entries).toHaveLength(1);
  });

  it("never gives a settled record out again, whatever is said of it", () => {
    const ledger = createLedger();
    ledger.add(0n, 10);
    ledger.delivered(run(0, 10));
    ledger.settled(ledger.plan([range(5, 5)]).entries);
    const plan = ledger.plan([range(0, 9, "release")]);
    expect(plan.released).toEqual([run(0, 10, 0, 5), run(0, 10, 6, 10)]);
    expect(plan.refusals).toEqual([]);
    expect(ledger.plan([range(0, 9, "retry", { delayMs: 1 })])).toMatchObject({
      delayed: [],
      entries: [],
      refusals: [{ firstOffset: 0n, lastOffset: 9n, error: { code: "already_settled" } }],
    });
    expect(ledger.plan([range(5, 5, "release")]).refusals).toMatchObject([{ error: { code: "already_settled" } }]);
  });

  it("takes one verdict for a record in a settlement; a second ack is none", () => {
    const verdicts = (...ranges: SettleRange[]) => {
      const plan = withTwoEntries().plan(ranges);
      return plan.refusals.map(({ firstOffset, error }) => [firstOffset, error.code]);
    };
    expect(verdicts(range(0, 5), range(3, 8))).toEqual([]);
    expect(verdicts(range(0, 5), range(5, 8, "release"))).toEqual([[5n, "invalid_argument"]]);
    expect(verdicts(range(6, 8, "release"), range(0, 6, "release"))).toEqual([[6n, "invalid_argument"]]);
    expect(verdicts(range(0, 9, "retry"), range(2, 3), range(10, 11))).toEqual([[2n, "invalid_argument"]]);
    expect(verdicts(range(0, 3, "retry"), range(4, 9), range(10, 14, "release"))).toEqual([]);
    // A try that failed in place, and what became of the next one, may come together.
    const inPlace = { inPlace: true };
    expect(verdicts(range(3, 3, "retry", inPlace), range(3, 3, "retry", inPlace), range(0, 5))).toEqual([]);
    expect(verdicts(range(3, 3, "retry", inPlace), range(3, 3, "reject"))).toEqual([]);
    expect(verdicts(range(3, 3, "retry", inPlace), range(3, 3, "release"))).toEqual([]);
    expect(verdicts(range(3, 5, "reject"), range(5, 5))).toEqual([[5n, "invalid_argument"]]);
    expect(verdicts(range(3, 5, "reject"), range(5, 6, "reject"))).toEqual([]);
  });

  it("takes a reject twice as it takes an ack, but not both of one record", () => {
    const ledger = withTwoEntries();
    const again = ledger.plan([range(0, 2, "reject"), range(1, 1, "reject"), range(3, 3)]);
    expect(again.refusals).toEqual([]);
    ledger.settled(again.entries);
    expect(ledger.heldRecords).toBe(11);
    expect(ledger.plan([range(0, 2, "reject")]).refusals).toEqual([]);
    const both = ledger.plan([range(4, 6, "reject"), range(6, 7), range(8, 8), range(8, 8, "reject"), range(12, 12)]);
    expect(both.refusals.map(({ firstOffset, error }) => [firstOffset, error.code])).toEqual([
      [6n, "invalid_argument"],
      [8n, "invalid_argument"],
    ]);
    ledger.settled(both.entries);
    expect(ledger.plan([range(0, 5, "release")])).toMatchObject({
      refusals: [{ firstOffset: 0n, error: { code: "already_settled" } }],
      released: [],
    });
  });

  it("forgets what the log has no more, and holds it no longer", () => {
    const ledger = withTwoEntries();
    ledger.dropBelow(10n);
    expect(ledger.heldRecords).toBe(5);
    expect(ledger.plan([range(0, 14)])).toMatchObject({ entries: [{ baseOffset: 10n }], refusals: [] });
  });

  it("gives released records back at once and failed ones later, with their attempts", () => {
    const ledger = withTwoEntries();
    const plan = ledger.plan([
      range(2, 3, "release"),
      range(12, 12, "retry", { delayMs: 250 }),
      range(5, 5, "retry", { inPlace: true }),
    ]);
    expect(plan.released).toEqual([run(0, 10, 2, 4)]);
    expect(plan.delayed).toEqual([{ ...run(10, 5, 2, 3), delayMs: 250 }]);
    ledger.settled(plan.entries);
    expect(ledger.attempts(run(10, 5))).toEqual([{ index: 2, attempts: 1 }]);
    expect(ledger.attempts(run(0, 10))).toEqual([{ index: 5, attempts: 1 }]);
    // In place: still with the consumer. The others are not until they are delivered again.
    expect(ledger.plan([range(5, 5)]).refusals).toEqual([]);
    expect(ledger.plan([range(2, 2)]).refusals).toHaveLength(1);
    expect(ledger.plan([range(12, 12)]).refusals).toHaveLength(1);
    ledger.delivered(run(10, 5, 2, 3));
    expect(ledger.plan([range(12, 12)]).refusals).toEqual([]);
  });

  it("takes over what an earlier owner left", () => {
    const ledger = createLedger();
    const { ready, delayed } = ledger.addPending({
      baseOffset: 100n,
      recordCount: 6,
      states: "a..s..",
      attempts: [{ index: 4, attempts: 3 }],
      due: [
        { index: 4, inMs: 500 },
        { index: 5, inMs: 0 },
      ],
      handBacks: { takeOvers: 2, releases: [{ index: 2, releases: 1 }] },
    });
    expect(ready).toEqual([run(100, 6, 1, 3), run(100, 6, 5, 6)]);
    expect(ledger.handBacks(run(100, 6, 1, 3))).toEqual({ takeOvers: 2, releases: [{ index: 2, releases: 1 }] });
    expect(ledger.handBacks(run(100, 6, 5, 6))).toEqual({ takeOvers: 2, releases: [] });
    expect(delayed).toEqual([{ ...run(100, 6, 4, 5), delayMs: 500 }]);
    expect(ledger.heldRecords).toBe(0);
    expect(ledger.attempts(run(100, 6))).toEqual([{ index: 4, attempts: 3 }]);
    for (const item of [...ready, ...delayed]) ledger.delivered(item);
    expect(ledger.heldRecords).toBe(4);
    const plan = ledger.plan([range(100, 105)]);
    ledger.settled(plan.entries);
    expect(ledger.heldRecords).toBe(0);
  });

  it("keeps the count right over partial acks in any order, twice", () => {
    const ledger = withTwoEntries();
    for (const [first, last] of [
      [8, 11],
      [0, 0],
      [8, 9],
      [1, 7],
      [12, 14],
    ] as const) {
      ledger.settled(ledger.plan([range(first, last)]).entries);
    }
    expect(ledger.heldRecords).toBe(0);
  });

  it("plans a record once, however often it is acked", () => {
    const ledger = createLedger();
    for (let at = 0; at < 2_000; at++) {
      ledger.add(BigInt(at * 10), 10);
      ledger.delivered(run(at * 10, 10));
    }
    const acks = Array.from({ length: limits.settleRangesPerFrameMax }, () => range(0, 19_999));
    const plan = ledger.plan(acks);
    expect(plan.refusals).toEqual([]);
    expect(plan.entries).toHaveLength(2_000);
    expect(plan.entries.reduce((sum, { ranges }) => sum + ranges.length, 0)).toBe(2_000);
    // Overlapping in steps: as many pieces as there are records and borders of entries.
    const steps = ledger.plan(acks.map((_, at) => range(at % 100, 19_999 - (at % 7), "ack")));
    expect(steps.entries.reduce((sum, { ranges }) => sum + ranges.length, 0)).toBeLessThan(2_100);
    ledger.settled(plan.entries);
    expect(ledger.heldRecords).toBe(0);
  });

  it("takes tries in place that overlap up to a bound", () => {
    const ledger = createLedger();
    ledger.add(0n, 1_000);
    ledger.delivered(run(0, 1_000));
    const tries = Array.from({ length: 1_001 }, () => range(0, 999, "retry", { inPlace: true }));
    const plan = ledger.plan([...tries, range(0, 0)]);
    expect(plan.refusals.map(({ error }) => error.code)).toEqual(["resource_exhausted"]);
    expect(plan.entries[0]?.ranges).toHaveLength(1_001);
  });

  it("says of ranges that overlap what it says of each alone, and each record is settled as it was said first", () => {
    const verbs = fc.constantFrom<SettleRange["verb"]>("ack", "ack", "reject", "release", "retry");
    const someRange = fc
      .tuple(fc.nat({ max: 21 }), fc.integer({ min: -1, max: 9 }), verbs, fc.boolean())
      .map(([first, length, verb, inPlace]) =>
        range(first, first + length, verb, verb === "retry" && inPlace ? { inPlace } : {}),
      );
    fc.assert(
      fc.property(
        fc.array(someRange, { maxLength: 8 }),
        fc.array(fc.nat({ max: 14 }), { maxLength: 4 }),
        (asked, settled) => {
          const ledger = withTwoEntries();
          ledger.add(15n, 6);
          ledger.delivered(run(15, 6, 0, 2));
          ledger.delivered(run(15, 6, 4, 5));
          for (const offset of settled) ledger.settled(ledger.plan([range(offset, offset)]).entries);
          const conflicting = conflictsOf(asked);
          const alone = asked.map((one) => (conflicting.has(one) ? undefined : ledger.plan([one])));
          const together = ledger.plan(asked);
          expect(
            together.refusals.map(({ firstOffset, lastOffset, error }) => [firstOffset, lastOffset, error.code]),
          ).toEqual(
            asked.flatMap((one, at) => {
              const code = conflicting.has(one) ? "invalid_argument" : alone[at]?.refusals[0]?.error.code;
              return code === undefined ? [] : [[one.firstOffset, one.lastOffset, code]];
            }),
          );
          expect(saidOf([together])).toEqual(saidOf(alone.flatMap((plan) => plan ?? [])));
          for (const key of ["released", "delayed"] as const)
            expect(together[key]).toEqual(alone.flatMap((plan) => plan?.[key] ?? []));
        },
      ),
    );
  });
});

/** The verbs of each record in order; an ack or a reject but once. */
function saidOf(plans: readonly LedgerSettle[]): Map<bigint, string[]> {
  const said = new Map<bigint, string[]>();
  for (const { firstOffset, lastOffset, verb } of plans.flatMap(({ entries }) =>
    entries.flatMap(({ ranges }) => ranges),
  )) {
    for (let offset = firstOffset; offset <= lastOffset; offset++) {
      const own = said.get(offset) ?? [];
      if ((verb !== "ack" && verb !== "reject") || !own.includes(verb)) own.push(verb);
      said.set(offset, own);
    }
  }
  return new Map([...said].sort(([left], [right]) => Number(left - right)));
}
