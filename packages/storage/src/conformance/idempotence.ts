import assert from "node:assert/strict";
import { limits } from "@gmq/protocol";
import fc from "fast-check";
import type { LogBatch } from "../engine.js";
import { accepted, assertRefused, present } from "./assertions.js";
import { batchOf } from "./batches.js";
import { createReferenceLog } from "./reference-log.js";
import type { ConformanceSubject } from "./subject.js";

const producer = { producerId: 5n, producerEpoch: 2 } as const;

/** What the property sends: a batch of a few producers, sequences, epochs and dedupe ids, sometimes a broken one. */
const anyBatch = fc
  .record({
    size: fc.integer({ min: 1, max: 3 }),
    producerId: fc.constantFrom(0n, 1n, 2n),
    producerEpoch: fc.constantFrom(0, 0, 0, 1),
    firstSequence: fc.integer({ min: 0, max: 12 }),
    dedupeId: fc.constantFrom(undefined, undefined, undefined, "x", "y"),
    isCorrupt: fc.constantFrom(false, false, false, false, false, false, true),
  })
  .map(({ size, producerId, producerEpoch, firstSequence, dedupeId, isCorrupt }) => ({
    size: dedupeId === undefined ? size : 1,
    identity: { producerId, producerEpoch, firstSequence: BigInt(firstSequence), dedupeId },
    isCorrupt,
  }));

export const idempotenceCases: ConformanceSubject = {
  name: "append stores once",
  cases: {
    "a batch that comes again is answered with its first offset": async ({ topic, append, values }) => {
      const name = await topic();
      const first = accepted(await append(name, ["a", "b"], { ...producer, firstSequence: 0n }));
      accepted(await append(name, ["c"], { ...producer, firstSequence: 2n }));
      const again = accepted(await append(name, ["a", "b"], { ...producer, firstSequence: 0n }));
      assert.deepEqual([again.firstOffset, again.duplicate], [first.firstOffset, true]);
      assert.equal(again.appendTimeMs, first.appendTimeMs);
      assert.deepEqual(await values(name), ["a", "b", "c"]);
    },

    "a batch that comes twice in one call too": async ({ engine, topic, values }) => {
      const name = await topic();
      const batch = (value: string, sequence: bigint): LogBatch =>
        batchOf([value], { ...producer, firstSequence: sequence });
      const batches = [batch("a", 0n), batch("b", 1n), batch("a", 0n), batch("b", 1n), batch("c", 2n)];
      const [outcomes] = await engine.log.append([{ topic: name, partition: 0, batches }]);
      const told = present(outcomes).map((outcome) => [accepted(outcome).firstOffset, accepted(outcome).duplicate]);
      assert.deepEqual(told, [
        [0n, false],
        [1n, false],
        [0n, true],
        [1n, true],
        [2n, false],
      ]);
      assert.deepEqual(await values(name), ["a", "b", "c"]);
    },

    "the last batches of a producer are remembered, older ones refused": async ({ topic, append }) => {
      const name = await topic();
      const count = limits.batchesPerProducer + 1;
      for (let sequence = 0; sequence < count; sequence++) {
        accepted(await append(name, ["v"], { ...producer, firstSequence: BigInt(sequence) }));
      }
      for (let sequence = 1; sequence < count; sequence++) {
        const again = accepted(await append(name, ["v"], { ...producer, firstSequence: BigInt(sequence) }));
        assert.deepEqual([again.firstOffset, again.duplicate], [BigInt(sequence), true]);
      }
      const expected = { code: "out_of_order", field: "batch.first_sequence" } as const;
      assertRefused(await append(name, ["v"], { ...producer, firstSequence: 0n }), expected);
    },

    "a gap and a batch cut otherwise are out of order": async ({ topic, append, values }) => {
      const name = await topic();
      accepted(await append(name, ["a", "b"], { ...producer, firstSequence: 0n }));
      const expected = { code: "out_of_order", field: "batch.first_sequence" } as const;
      assertRefused(await append(name, ["d"], { ...producer, firstSequence: 3n }), expected);
      assertRefused(await append(name, ["b"], { ...producer, firstSequence: 1n }), expected);
      assertRefused(await append(name, ["a", "b", "c"], { ...producer, firstSequence: 0n }), expected);
      accepted(await append(name, ["c"], { ...producer, firstSequence: 2n }));
      assert.deepEqual(await values(name), ["a", "b", "c"]);
    },

    "a later epoch of a producer begins anew and fences the earlier": async ({ topic, append, values }) => {
      const name = await topic();
      accepted(await append(name, ["a"], { ...producer, firstSequence: 0n }));
      assertRefused(await append(name, ["x"], { ...producer, producerEpoch: 3, firstSequence: 1n }), {
        code: "out_of_order",
        field: "batch.first_sequence",
      });
      accepted(await append(name, ["b"], { ...producer, producerEpoch: 3, firstSequence: 0n }));
      assertRefused(await append(name, ["x"], { ...producer, firstSequence: 1n }), {
        code: "producer_fenced",
        field: "batch.producer_epoch",
      });
      accepted(await append(name, ["c"], { ...producer, producerEpoch: 3, firstSequence: 1n }));
      assert.deepEqual(await values(name), ["a", "b", "c"]);
    },

    "a producer that a partition does not know begins with 0: anything else came before what belongs in front of it":
      async ({ topic, append }) => {
        const name = await topic();
        assertRefused(await append(name, ["b"], { ...producer, firstSequence: 1n }), {
          code: "out_of_order",
          field: "batch.first_sequence",
        });
        accepted(await append(name, ["a"], { ...producer, firstSequence: 0n }));
        accepted(await append(name, ["b"], { ...producer, firstSequence: 1n }));
      },

    "partitions and producers do not know each other's numbers": async ({ engine, topic, append }) => {
      const name = await topic(2);
      accepted(await append(name, ["a"], { ...producer, firstSequence: 0n }));
      accepted(await append(name, ["b"], { ...producer, producerId: 6n, firstSequence: 0n }));
      const batches = [batchOf(["c"], { ...producer, firstSequence: 0n })];
      const [outcomes] = await engine.log.append([{ topic: name, partition: 1, batches }]);
      assert.equal(accepted(outcomes?.[0]).duplicate, false);
    },

    "a record with a dedupe id is stored once, whoever sends it": async ({ topic, append, values }) => {
      const name = await topic();
      accepted(await append(name, ["a"], { dedupeId: "order-1" }));
      accepted(await append(name, ["b"], { dedupeId: "order-2", ...producer, firstSequence: 0n }));
      for (const identity of [{}, { producerId: 8n }, { ...producer, firstSequence: 1n }]) {
        const again = accepted(await append(name, ["A"], { dedupeId: "order-1", ...identity }));
        assert.deepEqual([again.firstOffset, again.duplicate], [0n, true]);
      }
      assert.deepEqual(await values(name), ["a", "b"]);
    },

    "any run of batches has the outcomes of the reference log": async ({ engine, topic, values }) => {
      const calls = fc.array(fc.array(anyBatch, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(calls, async (sent) => {
          const name = await topic();
          const reference = createReferenceLog();
          let number = 0;
          const outcomes = await Promise.all(
            sent.map(async (batches) => {
              const made = batches.map(({ size, identity, isCorrupt }) => {
                const words = Array.from({ length: size }, () => `v${number++}`);
                const batch = batchOf(words, identity);
                const crc32 = isCorrupt ? (batch.crc32 ^ 1) >>> 0 : batch.crc32;
                return { batch: { ...batch, crc32 }, expected: reference.append(words, identity, isCorrupt) };
              });
              const append = { topic: name, partition: 0, batches: made.map(({ batch }) => batch) };
              const [told] = await engine.log.append([append]);
              return { told, expected: made.map(({ expected }) => expected) };
            }),
          );
          for (const { told, expected } of outcomes) {
            const plain = present(told).map((outcome) =>
              outcome.ok ? { firstOffset: outcome.firstOffset, duplicate: outcome.duplicate } : outcome.error.code,
            );
            assert.deepEqual(plain, expected);
          }
          assert.deepEqual(await values(name), reference.values);
          assert.equal((await engine.topics.stats(name))[0]?.endOffset, BigInt(reference.values.length));
        }),
        { numRuns: 40 },
      );
    },
  },
};
