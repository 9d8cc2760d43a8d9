/** What every engine asks of a batch before it stores it: cheap for the number of records, never decoding one. */
import { batchChecksum, codecNumbers, countRecords, GmqError, limits } from "@gmq/protocol";
import type { LogBatch } from "../engine.js";

const knownCodecs: ReadonlySet<number> = new Set(Object.values(codecNumbers));

/**
 * The reason to refuse a batch, undefined when it is sound. Bytes must match their checksum; uncompressed bytes must hold exactly `recordCount` records.
 * Codes: `unknown_codec`, `batch_too_large`, `batch_corrupt`, `invalid_argument`.
 */
export function checkBatch(batch: LogBatch): GmqError | undefined {
  const { recordCount, records, codec, uncompressedBytes, dedupeId } = batch;
  if (!knownCodecs.has(codec)) {
    return new GmqError("unknown_codec", `codec ${codec} is not known`, {
      field: "batch.codec",
      limit: "1 none, 2 gzip, 3 zstd",
    });
  }
  if (recordCount < 1)
    return new GmqError("batch_corrupt", "a batch without records", { field: "batch.record_count", limit: "1 record" });
  if (recordCount > limits.batchRecordsMax)
    return tooLarge("batch.record_count", recordCount, limits.batchRecordsMax, "records");
  if (records.length > limits.batchBytesMax)
    return tooLarge("batch.records", records.length, limits.batchBytesMax, "bytes");
  if (uncompressedBytes > limits.batchUncompressedBytesMax) {
    return tooLarge("batch.uncompressed_bytes", uncompressedBytes, limits.batchUncompressedBytesMax, "bytes");
  }
  if (
    dedupeId !== undefined &&
    (recordCount !== 1 || dedupeId === "" || Buffer.byteLength(dedupeId) > limits.dedupeIdBytesMax)
  ) {
    return new GmqError("invalid_argument", "a dedupe id belongs to a batch of one record and is not empty", {
      field: "batch.dedupe_id",
      limit: `1 to ${limits.dedupeIdBytesMax} bytes`,
    });
  }
  if (batch.firstSequence > BigInt(Number.MAX_SAFE_INTEGER - recordCount)) {
    return new GmqError("invalid_argument", `sequence ${batch.firstSequence} is too large`, {
      field: "batch.first_sequence",
      limit: "2^53 - 1",
    });
  }
  if (batchChecksum(records) !== batch.crc32)
    return new GmqError("batch_corrupt", "the bytes do not match their checksum", { field: "batch.crc32" });
  return codec === codecNumbers.none ? checkCount(batch) : undefined;
}

function checkCount({ records, recordCount, uncompressedBytes }: LogBatch): GmqError | undefined {
  if (uncompressedBytes !== records.length) {
    return new GmqError(
      "batch_corrupt",
      `uncompressed_bytes is ${uncompressedBytes}, the batch has ${records.length}`,
      { field: "batch.uncompressed_bytes" },
    );
  }
  try {
    const found = countRecords(records);
    if (found === recordCount) return undefined;
    return new GmqError("batch_corrupt", `record_count is ${recordCount}, the bytes hold ${found}`, {
      field: "batch.record_count",
    });
  } catch (error) {
    return GmqError.from(error);
  }
}

function tooLarge(field: string, found: number, limit: number, unit: string): GmqError {
  return new GmqError("batch_too_large", `${field} is ${found}`, { field, limit: `${limit} ${unit}` });
}
