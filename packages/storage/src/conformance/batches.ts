import { batchChecksum, codecNumbers, createBatchEncoder, decodeEntryMeta, decodeRecords } from "@gmq/protocol";
import type { LogBatch, LogEntry } from "../engine.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A batch of records with these values, as a producer sends it. */
export function batchOf(values: readonly string[], identity: Partial<LogBatch> = {}): LogBatch {
  const batch = createBatchEncoder();
  for (const value of values) batch.add({ value: encoder.encode(value), timestampMs: 1 });
  const records = batch.take();
  return {
    recordCount: values.length,
    codec: codecNumbers.none,
    crc32: batchChecksum(records),
    producerId: 0n,
    producerEpoch: 0,
    firstSequence: 0n,
    uncompressedBytes: records.length,
    records,
    ...identity,
  };
}

/** Values of an entry's records, in order. */
export function valuesOf({ meta, body, recordCount }: LogEntry): string[] {
  const values: string[] = [];
  let at = 0;
  for (const { bodyBytes, recordCount: count } of decodeEntryMeta(meta).batches) {
    const records = decodeRecords(body.subarray(at, at + bodyBytes));
    if (records.length !== count) throw new Error(`a batch holds ${records.length} records, its meta says ${count}`);
    for (const { value } of records) values.push(decoder.decode(value));
    at += bodyBytes;
  }
  if (values.length !== recordCount || at !== body.length) throw new Error("entry, meta and body do not agree");
  return values;
}
