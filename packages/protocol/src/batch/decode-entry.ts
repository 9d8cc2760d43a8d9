import { decompressBatch } from "./compression.js";
import { type DecodedRecord, decodeRecords } from "./decode.js";
import { decodeEntryMeta } from "./entry-meta.js";

/** A record with its place in the log. */
export interface PlacedRecord extends DecodedRecord {
  /** In its entry. */
  readonly index: number;
  readonly offset: bigint;
}

/**
 * The records of a stored entry, in order; compressed batches are unpacked one at a time. Keys and values are views of the (unpacked) bytes.
 * @throws GmqError `batch_corrupt`, `unknown_codec`
 */
export async function* decodeEntry(entry: {
  readonly baseOffset: bigint;
  readonly meta: Uint8Array;
  readonly body: Uint8Array;
}): AsyncGenerator<PlacedRecord> {
  let index = 0;
  let position = 0;
  for (const batch of decodeEntryMeta(entry.meta).batches) {
    const bytes = entry.body.subarray(position, position + batch.bodyBytes);
    position += batch.bodyBytes;
    const plain = await decompressBatch(batch.codec, bytes, batch.uncompressedBytes);
    for (const record of decodeRecords(plain, batch.timestampMs)) {
      yield { ...record, index, offset: entry.baseOffset + BigInt(index) };
      index++;
    }
  }
}
