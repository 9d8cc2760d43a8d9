/**
 * Random appends, fetches, settles and purges against a small model, while the work-queue janitor trims as fast as it can. Whatever the janitor does when, a
 * group's position, unsettled and lost records and its lag are those of the model: the janitor loses nothing, a purge loses exactly what was not settled.
 */
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { appendEach, engineKinds, fetchFrom, ownPartition } from "../../test/engines.js";
import { batchOf } from "../conformance/batches.js";

interface ModelEntry {
  readonly base: number;
  /** One character a record: `.` unsettled, `a` acked; undefined until it is handed out. */
  states: string | undefined;
  readonly count: number;
}

type Step =
  | { readonly kind: "append"; readonly count: number }
  | { readonly kind: "fetch"; readonly recordsMax: number }
  | { readonly kind: "ack"; readonly entry: number; readonly from: number; readonly to: number }
  | { readonly kind: "retry"; readonly entry: number }
  | { readonly kind: "purge"; readonly share: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("fetch" as const), recordsMax: fc.integer({ min: 1, max: 12 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("ack" as const),
      entry: fc.nat(20),
      from: fc.nat(5),
      to: fc.nat(5),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("retry" as const), entry: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("purge" as const), share: fc.integer({ min: 0, max: 110 }) }) },
);

const unsettledOf = (states: string): number => states.split(".").length - 1;

describe.each(engineKinds())("$name", (kind) => {
  beforeAll(kind.start);
  afterEach(kind.close);
  afterAll(kind.stop);

  it("keeps the books of a group through any mix of appends, settles and trims", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const engine = await kind.open({ retentionIntervalMs: 2 });
        await engine.topics.create("t", { partitions: 1, retention: { workQueue: true } });
        const { ownership } = await ownPartition(engine, "g", "t");
        const entries: ModelEntry[] = [];
        let end = 0;
        let position = 0;
        let purged = 0;
        let lost = 0;

        async function settle(entry: ModelEntry, verb: "ack" | "retry", from: number, to: number): Promise<void> {
          const baseOffset = BigInt(entry.base);
          const range = {
            firstOffset: baseOffset + BigInt(from),
            lastOffset: baseOffset + BigInt(to),
            verb,
            delayMs: 60_000,
          };
          const [outcome] = await engine.groups.settle([
            { ownership, entries: [{ baseOffset, recordCount: entry.count, ranges: [range] }] },
          ]);
          expect(outcome?.ok).toBe(true);
        }

        function purge(to: number): number {
          let records = 0;
          for (const entry of entries) {
            if (entry.base >= to || entry.base < purged) continue;
            records += entry.states === undefined ? entry.count : unsettledOf(entry.states);
            entry.states = "";
          }
          purged = to;
          position = Math.max(position, to);
          lost += records;
          return records;
        }

        for (const now of steps) {
          const handed = entries.filter(({ states }) => states?.includes(".") === true);
          if (now.kind === "append") {
            await appendEach(engine, "t", [batchOf(Array.from({ length: now.count }, () => "v"))]);
            entries.push({ base: end, count: now.count, states: undefined });
            end += now.count;
          } else if (now.kind === "fetch") {
            const fetched = await fetchFrom(engine, ownership, BigInt(position), now.recordsMax);
            for (const { baseOffset } of fetched.entries) {
              const entry = entries.find(({ base }) => base === Number(baseOffset)) as ModelEntry;
              expect(entry.states).toBeUndefined();
              entry.states = ".".repeat(entry.count);
            }
            position = Number(fetched.position);
          } else if (now.kind === "purge" && entries.length > 0) {
            const toOffset = Math.floor((end * now.share) / 100);
            const last = entries.at(-1) as ModelEntry;
            const to = entries.findLast(({ base }) => base <= toOffset)?.base ?? 0;
            const [done] = await engine.log.purge({ topic: "t", toOffset: BigInt(toOffset) });
            const records = to > purged ? purge(Math.min(to, last.base)) : 0;
            expect(done?.losses).toEqual(records === 0 ? [] : [{ group: "g", records }]);
          } else if ((now.kind === "ack" || now.kind === "retry") && handed.length > 0) {
            const entry = handed[now.entry % handed.length] as ModelEntry;
            const states = entry.states as string;
            if (now.kind === "retry") {
              const index = states.indexOf(".");
              await settle(entry, "retry", index, index);
              continue;
            }
            const from = Math.min(now.from, entry.count - 1);
            const to = Math.max(from, Math.min(now.to, entry.count - 1));
            await settle(entry, "ack", from, to);
            entry.states = states.slice(0, from) + "a".repeat(to - from + 1) + states.slice(to + 1);
          }
          const unsettledRecords = entries.reduce((sum, { states }) => sum + unsettledOf(states ?? ""), 0);
          const [found] = await engine.groups.offsets("g");
          const lagRecords = end - position + unsettledRecords;
          expect(found).toMatchObject({ position: BigInt(position), unsettledRecords, lagRecords, lostRecords: lost });
          const firstKept = entries.find(({ states }) => states === undefined || states.includes("."))?.base ?? end;
          expect(Number(found?.startOffset)).toBeGreaterThanOrEqual(purged);
          expect(Number(found?.startOffset)).toBeLessThanOrEqual(firstKept);
          expect(Number(found?.endOffset)).toBe(end);
        }
        // What is unsettled is handed to the next owner, nothing else.
        const claimed = await engine.groups.claim(ownership);
        expect(claimed.pending.map(({ baseOffset }) => Number(baseOffset))).toEqual(
          entries.filter(({ states }) => states?.includes(".") === true).map(({ base }) => base),
        );
        await kind.close();
      }),
      { numRuns: 40 },
    );
  }, 120_000);
});
