/**
 * Encodes records into one RecordBatch, byte-equal to protobuf's canonical form. Grammar:
 *
 *   batch  = { 0x0a length record }
 *   record = [ 0x0a length key ] [ 0x12 length value ] { 0x1a length header } [ 0x20 timestamp-varint ] [ 0x28 expiry-varint ]
 *   header = [ 0x0a length key-utf8 ] [ 0x12 length value ]
 *
 * A record with the timestamp of the one before it leaves it out: seven bytes of most records of a batch.
 *
 * Called by the client's producer and by the broker for thin clients; its bytes are stored as they are.
 */
import { varintBytes, writeVarint } from "./varint.js";

/** A header as producers give it. */
export interface EncodableHeader {
  readonly key: string;
  readonly value: Uint8Array;
}

/** A record as producers give it; bytes are copied once, into the batch. */
export interface EncodableRecord {
  /** Absent: no key. */
  readonly key?: Uint8Array | undefined;
  readonly value: Uint8Array;
  readonly headers?: readonly EncodableHeader[] | undefined;
  /** Milliseconds since the epoch, 0 to 2^53 - 1. */
  readonly timestampMs: number;
  /** Milliseconds since the epoch, up to 2^53 - 1; absent or 0: the record never expires. */
  readonly expiresAtMs?: number | undefined;
}

/** Buffers whose bytes nobody needs any more: a new batch is written into one of them before memory is asked for. */
export interface SpareBuffers {
  /** A buffer of `bytesMin` or more, which belongs to the caller from now on. */
  take(bytesMin: number): Uint8Array | undefined;
  /** Takes a buffer over that nobody reads any more. */
  give(buffer: Uint8Array): void;
}

/** Grows one batch; `take` hands its bytes over and begins the next. */
export interface BatchEncoder {
  readonly recordCount: number;
  /** Bytes encoded so far. */
  readonly byteLength: number;
  /** Appends a record. Returns its encoded length. */
  add(record: EncodableRecord): number;
  /** The batch's bytes; they belong to the caller from now on. The encoder is empty again. */
  take(): Uint8Array;
}

const headerText = new TextEncoder();

/** Of the kind that all buffers here are, so that the code that fills them sees one kind. */
const noBytes: Uint8Array = Buffer.allocUnsafeSlow(0);

/**
 * Makes an encoder whose buffer, never zeroed and never shared with others, starts at `initialBytes` (default 4 KiB), later at what the last batch took, and doubles
 * when full. It comes from `spares` where they have one. An empty encoder holds none.
 */
export function createBatchEncoder(initialBytes = 4_096, spares?: Pick<SpareBuffers, "take">): BatchEncoder {
  let buffer: Uint8Array = noBytes;
  let firstBytes = initialBytes;
  let position = 0;
  let recordCount = 0;
  /** Of the last record. */
  let timestampMs = 0;

  function reserve(bytes: number): void {
    if (position + bytes <= buffer.length) return;
    const wanted = Math.max(position === 0 ? firstBytes : buffer.length * 2, position + bytes);
    const grown = spares?.take(wanted) ?? Buffer.allocUnsafeSlow(wanted);
    grown.set(buffer.subarray(0, position));
    buffer = grown;
  }

  return {
    get recordCount() {
      return recordCount;
    },
    get byteLength() {
      return position;
    },
    add(record) {
      const headers =
        record.headers === undefined || record.headers.length === 0 ? undefined : encodeHeaders(record.headers);
      const isSameTime = record.timestampMs === timestampMs;
      const bodyBytes = recordBytes(record, headers) - (isSameTime ? timestampBytes(timestampMs) : 0);
      const before = position;
      reserve(1 + varintBytes(bodyBytes) + bodyBytes);
      buffer[position++] = 0x0a;
      position = writeVarint(buffer, position, bodyBytes);
      if (record.key !== undefined) position = writeBytes(buffer, position, 0x0a, record.key);
      if (record.value.length > 0) position = writeBytes(buffer, position, 0x12, record.value);
      if (headers !== undefined) position = writeHeaders(buffer, position, headers);
      if (!isSameTime) {
        timestampMs = record.timestampMs;
        buffer[position++] = 0x20;
        position = writeVarint(buffer, position, timestampMs);
      }
      if (record.expiresAtMs !== undefined && record.expiresAtMs > 0) {
        buffer[position++] = 0x28;
        position = writeVarint(buffer, position, record.expiresAtMs);
      }
      recordCount++;
      return position - before;
    },
    take() {
      const bytes = buffer.subarray(0, position);
      buffer = noBytes;
      firstBytes = Math.max(initialBytes, Math.min(position, 1 << 20));
      position = 0;
      recordCount = 0;
      timestampMs = 0;
      return bytes;
    },
  };
}

/** Encodes a list of records as one batch. */
export function encodeRecords(records: readonly EncodableRecord[]): Uint8Array {
  let bytes = 0;
  for (const record of records) bytes += encodedRecordBytes(record);
  const encoder = createBatchEncoder(bytes);
  for (const record of records) encoder.add(record);
  return encoder.take();
}

/** Bytes that the record takes in a batch at most, framing included: with a timestamp of its own. */
export function encodedRecordBytes(record: EncodableRecord): number {
  const headers = record.headers === undefined ? undefined : encodeHeaders(record.headers);
  const bytes = recordBytes(record, headers);
  return 1 + varintBytes(bytes) + bytes;
}

interface EncodedHeader {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly bytes: number;
}

function encodeHeaders(headers: readonly EncodableHeader[]): EncodedHeader[] {
  return headers.map(({ key, value }) => {
    const name = headerText.encode(key);
    return { key: name, value, bytes: fieldBytes(name.length) + fieldBytes(value.length) };
  });
}

function recordBytes(record: EncodableRecord, headers: readonly EncodedHeader[] | undefined): number {
  let bytes = fieldBytes(record.value.length);
  if (record.key !== undefined) bytes += 1 + varintBytes(record.key.length) + record.key.length;
  if (headers !== undefined) for (const header of headers) bytes += 1 + varintBytes(header.bytes) + header.bytes;
  bytes += timestampBytes(record.timestampMs);
  if (record.expiresAtMs !== undefined && record.expiresAtMs > 0) bytes += 1 + varintBytes(record.expiresAtMs);
  return bytes;
}

function timestampBytes(timestampMs: number): number {
  return 1 + varintBytes(timestampMs);
}

/** Canonical protobuf leaves an empty field out. */
function fieldBytes(length: number): number {
  return length === 0 ? 0 : 1 + varintBytes(length) + length;
}

function writeBytes(target: Uint8Array, start: number, tag: number, bytes: Uint8Array): number {
  target[start] = tag;
  const position = writeVarint(target, start + 1, bytes.length);
  target.set(bytes, position);
  return position + bytes.length;
}

function writeHeaders(target: Uint8Array, start: number, headers: readonly EncodedHeader[]): number {
  let position = start;
  for (const header of headers) {
    target[position++] = 0x1a;
    position = writeVarint(target, position, header.bytes);
    if (header.key.length > 0) position = writeBytes(target, position, 0x0a, header.key);
    if (header.value.length > 0) position = writeBytes(target, position, 0x12, header.value);
  }
  return position;
}
