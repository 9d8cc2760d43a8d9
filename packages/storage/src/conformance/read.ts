import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeEntryMeta } from "@gmq/protocol";
import fc from "fast-check";
import type { ReadResult, StartPosition } from "../engine.js";
import { assertRejects, present } from "./assertions.js";
import { valuesOf } from "./batches.js";
import type { ConformanceContext } from "./context.js";
import type { ConformanceSubject } from "./subject.js";

const bases = ({ entries }: ReadResult): bigint[] => entries.map(({ baseOffset }) => baseOffset);

/** A topic with entries at 0 (3 records), 3 (1), 4 (4). */
async function threeEntries({ topic, store }: ConformanceContext): Promise<string> {
  const name = await topic();
  await store(name, [["a", "b", "c"], ["d"], ["e", "f", "g", "h"]]);
  return name;
}

export const readCases: ConformanceSubject = {
  name: "read",
  cases: {
    "begins with the entry that holds the position": async (context) => {
      const name = await threeEntries(context);
      const expected: readonly (readonly [from: StartPosition, bases: readonly bigint[]])[] = [
        ["earliest", [0n, 3n, 4n]],
        ["latest", []],
        [{ offset: 0n }, [0n, 3n, 4n]],
        [{ offset: 2n }, [0n, 3n, 4n]],
        [{ offset: 3n }, [3n, 4n]],
        [{ offset: 4n }, [4n]],
        [{ offset: 7n }, [4n]],
        [{ offset: 8n }, []],
        [{ offset: 1_000_000n }, []],
      ];
      for (const [from, found] of expected) {
        const result = await context.read(name, { from });
        assert.deepEqual(
          bases(result),
          found,
          JSON.stringify(from, (_, value) => String(value)),
        );
        assert.deepEqual([result.startOffset, result.endOffset], [0n, 8n]);
      }
    },

    "gives what was stored": async (context) => {
      const { entries } = await context.read(await threeEntries(context));
      assert.deepEqual(entries.map(valuesOf), [["a", "b", "c"], ["d"], ["e", "f", "g", "h"]]);
    },

    "finds the first entry appended at or after a time": async ({ topic, append, read }) => {
      const name = await topic();
      for (const value of ["a", "b", "c"]) {
        await append(name, [value, value]);
        await sleep(5);
      }
      const { entries } = await read(name);
      const times = entries.map(({ meta }) => decodeEntryMeta(meta).appendTimeMs);
      const [first, second, third] = [present(times[0]), present(times[1]), present(times[2])];
      assert.ok(first < second && second < third);
      for (const [timestampMs, found] of [
        [0, [0n, 2n, 4n]],
        [first, [0n, 2n, 4n]],
        [first + 1, [2n, 4n]],
        [second, [2n, 4n]],
        [third, [4n]],
        [third + 1, []],
        [third + 1_000_000, []],
      ] as const) {
        assert.deepEqual(bases(await read(name, { from: { timestampMs } })), found, `at ${timestampMs - first} ms`);
      }
    },

    "an empty partition has neither entries nor length": async ({ topic, read }) => {
      const name = await topic();
      for (const from of ["earliest", "latest", { offset: 0n }, { offset: 9n }, { timestampMs: 0 }] as const) {
        const { entries, startOffset, endOffset } = await read(name, { from });
        assert.deepEqual([entries.length, startOffset, endOffset], [0, 0n, 0n]);
      }
    },

    "has no effect": async (context) => {
      const name = await threeEntries(context);
      const consumer = await context.consume(name);
      const before = await context.progress(consumer.group, name);
      await context.read(name);
      const after = await context.progress(consumer.group, name);
      assert.deepEqual([after.position, after.unsettledRecords], [before.position, before.unsettledRecords]);
    },

    "refuses topics and partitions that are not there": async ({ topic, read, unique }) => {
      const name = await topic(2);
      await assertRejects(read(unique("topic")), { code: "topic_not_found", field: "topic" });
      await assertRejects(read("a b"), { code: "invalid_name", field: "topic" });
      await assertRejects(read(name, { partition: 2 }), { code: "partition_not_found", field: "partition" });
    },

    "gives at least one entry, else as many as fit both bounds": async ({ topic, store, read }) => {
      const name = await topic();
      const sizes = [3, 1, 40, 2, 900, 1, 1, 5, 30, 2, 700, 1];
      await store(
        name,
        sizes.map((size, index) => [`${index}${"x".repeat(size)}`, "y"]),
      );
      const { entries: all } = await read(name);
      assert.equal(all.length, sizes.length);
      const request = fc.record({
        offset: fc.integer({ min: 0, max: sizes.length * 2 + 2 }),
        entriesMax: fc.integer({ min: 1, max: 14 }),
        bytesMax: fc.integer({ min: 1, max: 2_000 }),
      });
      await fc.assert(
        fc.asyncProperty(request, async ({ offset, entriesMax, bytesMax }) => {
          const candidates = all.filter(({ baseOffset, recordCount }) => baseOffset + BigInt(recordCount) > offset);
          const expected: bigint[] = [];
          let bytes = 0;
          for (const { baseOffset, body } of candidates.slice(0, entriesMax)) {
            bytes += body.length;
            if (expected.length > 0 && bytes > bytesMax) break;
            expected.push(baseOffset);
          }
          const result = await read(name, { from: { offset: BigInt(offset) }, entriesMax, bytesMax });
          assert.deepEqual(bases(result), expected);
        }),
        { numRuns: 60 },
      );
    },
  },
};
