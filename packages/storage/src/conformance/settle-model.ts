import assert from "node:assert/strict";
import fc from "fast-check";
import type { EntrySettle, SettleRange } from "../engine.js";
import { accepted } from "./assertions.js";
import type { ConformanceSubject } from "./subject.js";

const entrySizes = [4, 1, 6] as const;
const entryBases = [0, 4, 5] as const;
const total = 11;

/** Every record on its own: the simplest thing that could be right. */
interface ModelRecord {
  settled: boolean;
  attempts: number;
  /** Undefined: never retried, or retried in place. */
  delayMs: number | undefined;
}

const anyRange = fc.record({
  verb: fc.constantFrom("ack", "ack", "ack", "retry", "retry", "release"),
  /** Relative to the entry; may lie outside of it. */
  first: fc.integer({ min: -1, max: 6 }),
  length: fc.integer({ min: 1, max: 4 }),
  delayMs: fc.constantFrom(0, 100_000),
  inPlace: fc.boolean(),
});

const anyEntry = fc.record({
  entry: fc.integer({ min: 0, max: entrySizes.length - 1 }),
  ranges: fc.array(anyRange, { minLength: 1, maxLength: 4 }),
});

const anyCalls = fc.array(fc.array(anyEntry, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 8 });

/** Applies a range to the records of an entry; the code of its refusal, if any. */
function applyRange(
  records: readonly ModelRecord[],
  first: number,
  last: number,
  range: SettleRange,
): string | undefined {
  if (first < 0 || last >= records.length) return "not_delivered";
  const named = records.slice(first, last + 1);
  if (range.verb === "retry" && named.some(({ settled }) => settled)) return "already_settled";
  for (const record of named) {
    if (range.verb === "ack") Object.assign(record, { settled: true, attempts: 0, delayMs: undefined });
    if (range.verb !== "retry") continue;
    record.attempts++;
    record.delayMs = range.inPlace === true ? undefined : (range.delayMs ?? 0);
  }
  return undefined;
}

/** What the model says is pending, as `claim` would tell it. Delays stand for due times. */
function pendingOf(model: readonly (readonly ModelRecord[])[]) {
  return model.flatMap((records, entry) => {
    if (records.every(({ settled }) => settled)) return [];
    const states = records.map(({ settled }) => (settled ? "a" : ".")).join("");
    return [
      {
        baseOffset: BigInt(entryBases[entry] as number),
        recordCount: records.length,
        states: states.includes("a") ? states : "",
        attempts: records.flatMap(({ attempts }, index) => (attempts > 0 ? [{ index, attempts }] : [])),
        due: records.flatMap(({ delayMs }, index) => (delayMs === undefined ? [] : [{ index, isLater: delayMs > 0 }])),
      },
    ];
  });
}

export const settleModelCases: ConformanceSubject = {
  name: "settle against a model",
  cases: {
    "any run of calls leaves what the model says": async ({ engine, topic, store, consume, progress }) => {
      const name = await topic();
      await store(
        name,
        entrySizes.map((size) => Array.from({ length: size }, (_, index) => `v${index}`)),
      );
      await fc.assert(
        fc.asyncProperty(anyCalls, async (calls) => {
          const consumer = await consume(name);
          await consumer.fetch();
          const model = entrySizes.map((size) =>
            Array.from({ length: size }, (): ModelRecord => ({ settled: false, attempts: 0, delayMs: undefined })),
          );
          for (const call of calls) {
            const expected: unknown[] = [];
            const entries = call.map(({ entry, ranges }): EntrySettle => {
              const base = entryBases[entry] as number;
              const records = model[entry] as ModelRecord[];
              const isGone = records.every(({ settled }) => settled);
              const asked = ranges
                // Negative offsets cannot be written down.
                .filter(({ first }) => base + first >= 0)
                .map(({ first, length, verb, delayMs, inPlace }): SettleRange => {
                  const firstOffset = BigInt(base + first);
                  const lastOffset = firstOffset + BigInt(length - 1);
                  const range: SettleRange = { firstOffset, lastOffset, verb, delayMs, inPlace };
                  // Of an entry that is wholly settled only a retry can still be wrong.
                  const code = isGone
                    ? verb === "retry" && "already_settled"
                    : applyRange(records, first, first + length - 1, range);
                  if (typeof code === "string") expected.push([firstOffset, lastOffset, code]);
                  return range;
                });
              return { baseOffset: BigInt(base), recordCount: records.length, ranges: asked };
            });
            const [outcome] = await engine.groups.settle([{ ownership: consumer.ownership, entries }]);
            const refusals = accepted(outcome).refusals.map(({ firstOffset, lastOffset, error }) => [
              firstOffset,
              lastOffset,
              error.code,
            ]);
            assert.deepEqual(refusals, expected);
          }
          const { pending } = await consumer.claim();
          const found = pending.map(({ due, attempts, ...entry }) => ({
            ...entry,
            attempts: attempts.map((item) => ({ index: item.index, attempts: item.attempts })),
            due: due.map(({ index, inMs }) => ({ index, isLater: inMs > 0 })),
          }));
          assert.deepEqual(
            found.map(({ baseOffset, recordCount, states, attempts, due }) => ({
              baseOffset,
              recordCount,
              states,
              attempts,
              due,
            })),
            pendingOf(model),
          );
          const { unsettledRecords, lagRecords, endOffset } = await progress(consumer.group, name);
          const unsettled = model.flat().filter(({ settled }) => !settled).length;
          assert.deepEqual([unsettledRecords, lagRecords, endOffset], [unsettled, unsettled, BigInt(total)]);
        }),
        { numRuns: 60 },
      );
    },
  },
};
