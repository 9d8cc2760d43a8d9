import { limits } from "../limits.js";
import { batchChecksum, compressBatch } from "./compression.js";
import { type EncodableRecord, encodeRecords } from "./encode.js";
import { codecNumbers } from "./entry-meta.js";

/** A batch of one record, as gmq.v1.Batch has it; not idempotent but by its dedupe id. */
export interface SingleBatch {
  readonly recordCount: 1;
  readonly codec: number;
  readonly crc32: number;
  readonly producerId: 0n;
  readonly producerEpoch: 0;
  readonly firstSequence: 0n;
  readonly uncompressedBytes: number;
  readonly dedupeId: string;
  readonly records: Uint8Array;
}

/** Encodes one record as a batch that is stored once under its dedupe id. A record that is over the batch limit came packed, and is packed again. */
export async function encodeSingleBatch(record: EncodableRecord, dedupeId: string): Promise<SingleBatch> {
  const plain = encodeRecords([record]);
  const isLarge = plain.length > limits.batchBytesMax;
  const records = isLarge ? await compressBatch("zstd", plain) : plain;
  return {
    recordCount: 1,
    codec: isLarge ? codecNumbers.zstd : codecNumbers.none,
    crc32: batchChecksum(records),
    producerId: 0n,
    producerEpoch: 0,
    firstSequence: 0n,
    uncompressedBytes: plain.length,
    dedupeId,
    records,
  };
}
