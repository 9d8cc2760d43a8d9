/**
 * Cuts a range of records out of an entry without decoding one: for consumers whose credit is smaller than an entry, and for redelivery. Whole batches go out as
 * they are stored; a compressed batch that has to be cut is unpacked, one at a time, as an entry may unpack to thousands of times its size.
 */
import {
  type BatchMeta,
  batchChecksum,
  codecNumbers,
  decodeEntryMeta,
  decompressBatch,
  encodeEntryMeta,
  indexRecords,
  timestampBefore,
} from "@gmq/protocol";
import type { LogEntry } from "@gmq/storage";

/** One entry, ready to be cut. */
export interface EntrySlicer {
  readonly baseOffset: bigint;
  /** As much of the records `from` to `to - 1` as the bytes allow, at least one record, as an entry of its own; undefined: the batch of `from` has to be opened first. */
  cut(from: number, to: number, bytesMax: number): LogEntry | undefined;
  /**
   * Unpacks the batch of a record, in place of the one that was open.
   * @throws GmqError `batch_corrupt`, `unknown_codec` when the stored bytes are not what they say
   */
  open(index: number): Promise<void>;
}

/** The unpacked bytes of a batch. */
interface OpenBatch {
  readonly body: Uint8Array;
  readonly borders: Uint32Array;
  /** What was looked for last: the timestamp of the record before this one. */
  before: { readonly index: number; readonly timestampMs: number };
}

/** A batch in its entry: its first record, and where its bytes begin. */
interface Place {
  readonly batch: BatchMeta;
  readonly first: number;
  readonly position: number;
  opened: OpenBatch | undefined;
}

type Unpack = typeof decompressBatch;

/**
 * Prepares an entry: batches that are not compressed are open from the beginning.
 * @throws GmqError `batch_corrupt` as `open` does
 */
export function createEntrySlicer(entry: LogEntry, unpack: Unpack = decompressBatch): EntrySlicer {
  const meta = decodeEntryMeta(entry.meta);
  const places: Place[] = [];
  let first = 0;
  let position = 0;
  for (const batch of meta.batches) {
    const place: Place = { batch, first, position, opened: undefined };
    if (batch.codec === codecNumbers.none) place.opened = openedOf(batch, storedBytes(entry, place));
    places.push(place);
    first += batch.recordCount;
    position += batch.bodyBytes;
  }
  /** The compressed batch that is open. */
  let unpacked: Place | undefined;

  function close(): void {
    if (unpacked !== undefined) unpacked.opened = undefined;
    unpacked = undefined;
  }

  function partOf(from: number, batches: readonly BatchMeta[], body: Uint8Array): LogEntry {
    const recordCount = batches.reduce((sum, batch) => sum + batch.recordCount, 0);
    return {
      baseOffset: entry.baseOffset + BigInt(from),
      recordCount,
      meta: encodeEntryMeta({ ...meta, batches }),
      body,
    };
  }

  return {
    baseOffset: entry.baseOffset,
    cut(from, to, bytesMax) {
      const batches: BatchMeta[] = [];
      let start = 0;
      let bytes = 0;
      for (const place of places) {
        const { batch } = place;
        if (place.first + batch.recordCount <= from) continue;
        if (place.first >= to) break;
        const isWhole = from <= place.first && place.first + batch.recordCount <= to;
        if (isWhole && batch.bodyBytes <= bytesMax - bytes) {
          if (batches.length === 0) start = place.position;
          batches.push(withoutProducer(batch));
          bytes += batch.bodyBytes;
          continue;
        }
        // What is unpacked stands alone; what is stored as it goes out joins its neighbours without a copy.
        const isStored = batch.codec === codecNumbers.none;
        if (batches.length > 0 && !isStored) break;
        if (place.opened === undefined) return undefined;
        const index = Math.max(from - place.first, 0);
        const last = Math.min(to - place.first, batch.recordCount);
        const end = fitting(place.opened.borders, index, last, bytesMax - bytes, batches.length > 0 ? 0 : 1);
        if (end === index) break;
        const piece = place.opened.body.subarray(place.opened.borders[index], place.opened.borders[end]);
        batches.push(pieceOf(place, place.opened, index, end, piece));
        if (!isStored) {
          // A copy: what is on its way must not hold the whole batch.
          const part = partOf(from, batches, Buffer.from(piece));
          if (end === batch.recordCount) close();
          return part;
        }
        if (batches.length === 1) start = place.position + (place.opened.borders[index] as number);
        bytes += piece.length;
        if (end < batch.recordCount) break;
      }
      return partOf(from, batches, entry.body.subarray(start, start + bytes));
    },
    async open(index) {
      const place = places.find((one) => index < one.first + one.batch.recordCount);
      if (place === undefined || place.opened !== undefined) return;
      close();
      const { codec, uncompressedBytes } = place.batch;
      const body = await unpack(codec, storedBytes(entry, place), uncompressedBytes);
      place.opened = openedOf(place.batch, body);
      unpacked = place;
    },
  };
}

function storedBytes({ body }: LogEntry, { position, batch }: Place): Uint8Array {
  return body.subarray(position, position + batch.bodyBytes);
}

function openedOf({ recordCount, timestampMs }: BatchMeta, body: Uint8Array): OpenBatch {
  return { body, borders: indexRecords(body, recordCount), before: { index: 0, timestampMs } };
}

/** A batch of a part goes out without its producer's numbers, so that nobody takes it for the producer's own. */
function withoutProducer(batch: BatchMeta): BatchMeta {
  return { ...batch, producerId: 0n, producerEpoch: 0, firstSequence: 0, dedupeId: undefined };
}

/** What the records `index` to `end - 1` of a batch are as a batch of their own. */
function pieceOf({ batch }: Place, opened: OpenBatch, index: number, end: number, bytes: Uint8Array): BatchMeta {
  // Cuts follow each other: what lies before the last one is not read again.
  const known = opened.before.index <= index ? opened.before : { index: 0, timestampMs: batch.timestampMs };
  const between = opened.body.subarray(opened.borders[known.index], opened.borders[index]);
  opened.before = { index, timestampMs: timestampBefore(between, known.timestampMs) };
  return {
    ...withoutProducer(batch),
    recordCount: end - index,
    codec: codecNumbers.none,
    crc32: batchChecksum(bytes),
    uncompressedBytes: bytes.length,
    bodyBytes: bytes.length,
    timestampMs: opened.before.timestampMs,
  };
}

/** Where to end, so that the bytes fit: at least `recordsMin` records on. */
function fitting(borders: Uint32Array, from: number, to: number, bytesMax: number, recordsMin: number): number {
  const start = borders[from] as number;
  let low = from + recordsMin;
  let high = to;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((borders[middle] as number) - start <= bytesMax) low = middle;
    else high = middle - 1;
  }
  return low;
}
