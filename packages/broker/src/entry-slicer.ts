/** Cuts a range of records out of an entry without decoding one: for consumers whose credit is smaller than an entry, and for redelivery. */
import {
  type BatchMeta,
  batchChecksum,
  codecNumbers,
  decodeEntryMeta,
  decompressBatch,
  type EntryMeta,
  encodeEntryMeta,
  indexRecords,
  timestampBefore,
} from "@gmq/protocol";
import type { LogEntry } from "@gmq/storage";

/** One entry, ready to be cut. */
export interface EntrySlicer {
  /** The records `from` to `to - 1` as an entry of their own; its body is a view. The whole entry is returned as it is. */
  slice(from: number, to: number): LogEntry;
  /** Bytes of the records `from` to `to - 1`. */
  sliceBytes(from: number, to: number): number;
}

/**
 * Prepares an entry: batches that are compressed are unpacked once.
 * @throws GmqError `batch_corrupt`, `unknown_codec` when the stored bytes are not what they say
 */
export async function createEntrySlicer(entry: LogEntry): Promise<EntrySlicer> {
  const meta = decodeEntryMeta(entry.meta);
  const compressed = meta.batches.some(({ codec }) => codec !== codecNumbers.none);
  return compressed ? slicerOf(entry, ...(await unpack(entry, meta))) : slicerOf(entry, meta, entry.body);
}

async function unpack(entry: LogEntry, meta: EntryMeta): Promise<[EntryMeta, Uint8Array]> {
  let position = 0;
  const bodies: Uint8Array[] = [];
  const batches: BatchMeta[] = [];
  for (const batch of meta.batches) {
    const bytes = entry.body.subarray(position, position + batch.bodyBytes);
    position += batch.bodyBytes;
    const body = await decompressBatch(batch.codec, bytes, batch.uncompressedBytes);
    bodies.push(body);
    batches.push({
      ...batch,
      codec: codecNumbers.none,
      crc32: batchChecksum(body),
      uncompressedBytes: body.length,
      bodyBytes: body.length,
    });
  }
  return [{ ...meta, batches }, Buffer.concat(bodies)];
}

function slicerOf(entry: LogEntry, meta: EntryMeta, body: Uint8Array): EntrySlicer {
  const borders = bordersOf(meta, body, entry.recordCount);
  return {
    slice(from, to) {
      if (from === 0 && to === entry.recordCount) return entry;
      return {
        baseOffset: entry.baseOffset + BigInt(from),
        recordCount: to - from,
        meta: encodeEntryMeta({ ...meta, batches: batchesOf(meta, body, borders, from, to) }),
        body: body.subarray(borders[from], borders[to]),
      };
    },
    sliceBytes: (from, to) => (borders[to] as number) - (borders[from] as number),
  };
}

/** What the records `from` to `to - 1` have of each batch: parts are batches without their producers' numbers. */
function batchesOf(meta: EntryMeta, body: Uint8Array, borders: Uint32Array, from: number, to: number): BatchMeta[] {
  const parts: BatchMeta[] = [];
  let first = 0;
  for (const { recordCount, timestampMs } of meta.batches) {
    const start = Math.max(from, first);
    const end = Math.min(to, first + recordCount);
    if (start < end) {
      const bytes = body.subarray(borders[start], borders[end]);
      const before = body.subarray(borders[first], borders[start]);
      parts.push({
        recordCount: end - start,
        codec: codecNumbers.none,
        crc32: batchChecksum(bytes),
        producerId: 0n,
        producerEpoch: 0,
        firstSequence: 0,
        uncompressedBytes: bytes.length,
        dedupeId: undefined,
        bodyBytes: bytes.length,
        timestampMs: timestampBefore(before, timestampMs),
      });
    }
    first += recordCount;
  }
  return parts;
}

/** Where each record of the entry begins in the body, and the end. */
function bordersOf(meta: EntryMeta, body: Uint8Array, recordCount: number): Uint32Array {
  const borders = new Uint32Array(recordCount + 1);
  let record = 0;
  let position = 0;
  for (const batch of meta.batches) {
    const own = indexRecords(body.subarray(position, position + batch.bodyBytes), batch.recordCount);
    for (let index = 0; index < batch.recordCount; index++) borders[record++] = position + (own[index] as number);
    position += batch.bodyBytes;
  }
  borders[recordCount] = position;
  return borders;
}
