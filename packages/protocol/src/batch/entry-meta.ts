/**
 * EntryMeta by hand: it is read and written once per log entry and batch, where generated code costs a microsecond each.
 * Byte-compatible with gmq.v1.EntryMeta; the tests hold both against each other.
 */
import { GmqError } from "../errors.js";
import { type Reader, readBytes, readVarint, skipField, varintBytes, writeVarint } from "./varint.js";

/** Numbers of gmq.v1.Codec. */
export const codecNumbers = { none: 1, gzip: 2, zstd: 3 } as const;
export type CodecName = keyof typeof codecNumbers;

/** A batch without its bytes. */
export interface BatchMeta {
  readonly recordCount: number;
  /** Number of gmq.v1.Codec. */
  readonly codec: number;
  readonly crc32: number;
  /** 0n: not idempotent. */
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly uncompressedBytes: number;
  readonly dedupeId: string | undefined;
  readonly bodyBytes: number;
  /** Of the records before the first that has one, in a batch that was cut out of another; 0: none. */
  readonly timestampMs: number;
}

/** Everything about an entry but its payload. */
export interface EntryMeta {
  readonly appendTimeMs: number;
  readonly appendId: bigint;
  readonly batches: readonly BatchMeta[];
  /** Bytes of all bodies appended to the partition before this entry; 0 in entries of before byte accounting. */
  readonly logBytes: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Encodes an EntryMeta. */
export function encodeEntryMeta(meta: EntryMeta): Uint8Array {
  const dedupeIds = meta.batches.map(({ dedupeId }) => (dedupeId === undefined ? undefined : encoder.encode(dedupeId)));
  const lengths = meta.batches.map((batch, index) => batchMetaBytes(batch, dedupeIds[index]));
  let total = 1 + varintBytes(meta.appendTimeMs) + 9 + numberField(meta.logBytes);
  for (const length of lengths) total += 1 + varintBytes(length) + length;
  const target = new Uint8Array(total);
  const view = new DataView(target.buffer);
  target[0] = 0x08;
  let position = writeVarint(target, 1, meta.appendTimeMs);
  target[position++] = 0x11;
  view.setBigUint64(position, meta.appendId, true);
  position += 8;
  for (let index = 0; index < lengths.length; index++) {
    target[position++] = 0x1a;
    position = writeVarint(target, position, lengths[index] as number);
    position = writeBatchMeta(target, view, position, meta.batches[index] as BatchMeta, dedupeIds[index]);
  }
  writeNumber(target, position, 0x20, meta.logBytes);
  return target;
}

/**
 * Decodes an EntryMeta.
 * @throws GmqError `batch_corrupt` when the bytes are not one
 */
export function decodeEntryMeta(bytes: Uint8Array): EntryMeta {
  const reader: Reader = { bytes, position: 0 };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let appendTimeMs = 0;
  let appendId = 0n;
  let logBytes = 0;
  const batches: BatchMeta[] = [];
  while (reader.position < bytes.length) {
    const tag = readVarint(reader);
    if (tag === 0x08) appendTimeMs = readVarint(reader);
    else if (tag === 0x11) appendId = readFixed64(reader, view);
    else if (tag === 0x1a) {
      const length = readVarint(reader);
      batches.push(decodeBatchMeta(reader, view, reader.position + length));
    } else if (tag === 0x20) logBytes = readVarint(reader);
    else skipField(reader, tag);
  }
  return { appendTimeMs, appendId, batches, logBytes };
}

function batchMetaBytes(batch: BatchMeta, dedupeId: Uint8Array | undefined): number {
  let bytes = numberField(batch.recordCount) + numberField(batch.codec) + numberField(batch.firstSequence);
  bytes += numberField(batch.producerEpoch) + numberField(batch.uncompressedBytes) + numberField(batch.bodyBytes);
  bytes += numberField(batch.timestampMs);
  if (batch.crc32 !== 0) bytes += 5;
  if (batch.producerId !== 0n) bytes += 9;
  if (dedupeId !== undefined) bytes += 1 + varintBytes(dedupeId.length) + dedupeId.length;
  return bytes;
}

function numberField(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

function writeNumber(target: Uint8Array, position: number, tag: number, value: number): number {
  if (value === 0) return position;
  target[position] = tag;
  return writeVarint(target, position + 1, value);
}

function writeBatchMeta(
  target: Uint8Array,
  view: DataView,
  start: number,
  batch: BatchMeta,
  dedupeId: Uint8Array | undefined,
): number {
  let position = writeNumber(target, start, 0x08, batch.recordCount);
  position = writeNumber(target, position, 0x10, batch.codec);
  if (batch.crc32 !== 0) {
    target[position] = 0x1d;
    view.setUint32(position + 1, batch.crc32, true);
    position += 5;
  }
  if (batch.producerId !== 0n) {
    target[position] = 0x21;
    view.setBigUint64(position + 1, batch.producerId, true);
    position += 9;
  }
  position = writeNumber(target, position, 0x28, batch.producerEpoch);
  position = writeNumber(target, position, 0x30, batch.firstSequence);
  position = writeNumber(target, position, 0x38, batch.uncompressedBytes);
  if (dedupeId !== undefined) {
    target[position++] = 0x42;
    position = writeVarint(target, position, dedupeId.length);
    target.set(dedupeId, position);
    position += dedupeId.length;
  }
  position = writeNumber(target, position, 0x48, batch.bodyBytes);
  return writeNumber(target, position, 0x50, batch.timestampMs);
}

function decodeBatchMeta(reader: Reader, view: DataView, end: number): BatchMeta {
  if (end > reader.bytes.length) throw new GmqError("batch_corrupt", "entry meta is cut off");
  let recordCount = 0;
  let codec = 0;
  let crc32 = 0;
  let producerId = 0n;
  let producerEpoch = 0;
  let firstSequence = 0;
  let uncompressedBytes = 0;
  let dedupeId: string | undefined;
  let bodyBytes = 0;
  let timestampMs = 0;
  while (reader.position < end) {
    const tag = readVarint(reader);
    if (tag === 0x08) recordCount = readVarint(reader);
    else if (tag === 0x10) codec = readVarint(reader);
    else if (tag === 0x1d) crc32 = readFixed32(reader, view);
    else if (tag === 0x21) producerId = readFixed64(reader, view);
    else if (tag === 0x28) producerEpoch = readVarint(reader);
    else if (tag === 0x30) firstSequence = readVarint(reader);
    else if (tag === 0x38) uncompressedBytes = readVarint(reader);
    else if (tag === 0x42) dedupeId = decoder.decode(readBytes(reader));
    else if (tag === 0x48) bodyBytes = readVarint(reader);
    else if (tag === 0x50) timestampMs = readVarint(reader);
    else skipField(reader, tag);
  }
  return {
    recordCount,
    codec,
    crc32,
    producerId,
    producerEpoch,
    firstSequence,
    uncompressedBytes,
    dedupeId,
    bodyBytes,
    timestampMs,
  };
}

function readFixed64(reader: Reader, view: DataView): bigint {
  if (reader.position + 8 > reader.bytes.length) throw new GmqError("batch_corrupt", "entry meta is cut off");
  const value = view.getBigUint64(reader.position, true);
  reader.position += 8;
  return value;
}

function readFixed32(reader: Reader, view: DataView): number {
  if (reader.position + 4 > reader.bytes.length) throw new GmqError("batch_corrupt", "entry meta is cut off");
  const value = view.getUint32(reader.position, true);
  reader.position += 4;
  return value;
}
