import assert from "node:assert/strict";
import { batchChecksum, codecNumbers, compressBatch, limits } from "@gmq/protocol";
import type { LogBatch } from "../engine.js";
import { accepted, assertRefused, type ExpectedError, present } from "./assertions.js";
import { batchOf } from "./batches.js";
import type { ConformanceSubject } from "./subject.js";

function withRecords(records: Uint8Array, changes: Partial<LogBatch>): LogBatch {
  const sums = { crc32: batchChecksum(records), uncompressedBytes: records.length, records };
  return batchOf(["a"], { ...sums, ...changes });
}

/** Batches that must not be stored, and how that is said. */
function unsoundBatches(): readonly (readonly [name: string, batch: LogBatch, expected: ExpectedError])[] {
  const sound = batchOf(["a", "b"]);
  const { records } = sound;
  return [
    ["codec 0", { ...sound, codec: 0 }, { code: "unknown_codec", field: "batch.codec" }],
    ["codec 99", { ...sound, codec: 99 }, { code: "unknown_codec", field: "batch.codec" }],
    ["no records", { ...sound, recordCount: 0 }, { code: "batch_corrupt", field: "batch.record_count" }],
    ["one record more", { ...sound, recordCount: 3 }, { code: "batch_corrupt", field: "batch.record_count" }],
    ["one record less", { ...sound, recordCount: 1 }, { code: "batch_corrupt", field: "batch.record_count" }],
    ["a wrong checksum", { ...sound, crc32: (sound.crc32 ^ 1) >>> 0 }, { code: "batch_corrupt", field: "batch.crc32" }],
    ["a lost byte", { ...sound, records: records.slice(1) }, { code: "batch_corrupt" }],
    ["bytes that are no records", withRecords(Buffer.from("garbage"), {}), { code: "batch_corrupt" }],
    [
      "a wrong size",
      { ...sound, uncompressedBytes: records.length + 1 },
      { code: "batch_corrupt", field: "batch.uncompressed_bytes" },
    ],
    [
      "too many records",
      { ...sound, recordCount: limits.batchRecordsMax + 1 },
      { code: "batch_too_large", field: "batch.record_count" },
    ],
    [
      "too many bytes",
      withRecords(new Uint8Array(limits.batchBytesMax + 1), {}),
      { code: "batch_too_large", field: "batch.records" },
    ],
    [
      "too many bytes unpacked",
      { ...sound, codec: codecNumbers.gzip, uncompressedBytes: limits.batchUncompressedBytesMax + 1 },
      { code: "batch_too_large", field: "batch.uncompressed_bytes" },
    ],
    ["an empty dedupe id", batchOf(["a"], { dedupeId: "" }), { code: "invalid_argument", field: "batch.dedupe_id" }],
    [
      "a long dedupe id",
      batchOf(["a"], { dedupeId: "d".repeat(limits.dedupeIdBytesMax + 1) }),
      { code: "invalid_argument", field: "batch.dedupe_id" },
    ],
    [
      "a dedupe id for two records",
      batchOf(["a", "b"], { dedupeId: "d" }),
      { code: "invalid_argument", field: "batch.dedupe_id" },
    ],
    [
      "a sequence past 2^53",
      batchOf(["a"], { producerId: 1n, firstSequence: 2n ** 53n }),
      { code: "invalid_argument", field: "batch.first_sequence" },
    ],
  ];
}

export const appendRefusalCases: ConformanceSubject = {
  name: "append refuses what is unsound",
  cases: {
    "batch by batch, and stores the rest of the call": async ({ engine, topic, values }) => {
      const name = await topic();
      const unsound = unsoundBatches();
      const batches = unsound.flatMap(([, batch], index) => [batchOf([`v${index}`]), batch]);
      const [outcomes] = await engine.log.append([{ topic: name, partition: 0, batches }]);
      unsound.forEach(([what, , expected], index) => {
        assert.equal(accepted(present(outcomes)[2 * index]).firstOffset, BigInt(index), what);
        try {
          assertRefused(present(outcomes)[2 * index + 1], expected);
        } catch (error) {
          assert.fail(`${what}: ${error instanceof Error ? error.message : String(error)}`);
        }
      });
      assert.deepEqual(
        await values(name),
        unsound.map((_, index) => `v${index}`),
      );
    },

    "without counting it as the producer's": async ({ topic, append, values }) => {
      const name = await topic();
      const producer = { producerId: 9n, producerEpoch: 0 };
      accepted(await append(name, ["a"], { ...producer, firstSequence: 0n }));
      const corrupt = { ...producer, firstSequence: 1n, crc32: 1 };
      assertRefused(await append(name, ["b"], corrupt), { code: "batch_corrupt" });
      accepted(await append(name, ["b"], { ...producer, firstSequence: 1n }));
      assert.deepEqual(await values(name), ["a", "b"]);
    },

    "but takes compressed bytes as they are": async ({ topic, append, read }) => {
      const name = await topic();
      for (const codec of ["gzip", "zstd"] as const) {
        const { records, uncompressedBytes } = batchOf(["a", "a", "a"]);
        const packed = await compressBatch(codec, records);
        const sums = { crc32: batchChecksum(packed), uncompressedBytes, records: packed };
        accepted(await append(name, ["a", "a", "a"], { codec: codecNumbers[codec], ...sums }));
      }
      const { entries, endOffset } = await read(name);
      assert.equal(endOffset, 6n);
      assert.deepEqual(
        entries.map(({ recordCount }) => recordCount),
        [3, 3],
      );
    },
  },
};
