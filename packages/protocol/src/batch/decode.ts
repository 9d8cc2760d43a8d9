/** Reads a RecordBatch: the grammar stands in encode.ts. Indexing finds the records' borders without decoding them. */
import { GmqError } from "../errors.js";
import { type Reader, readBytes, readVarint, skipField } from "./varint.js";

/** A header as consumers see it; `value` is a view of the batch's bytes. */
export interface DecodedHeader {
  readonly key: string;
  readonly value: Uint8Array;
}

/** A record as consumers see it; key and values are views of the batch's bytes. */
export interface DecodedRecord {
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array;
  readonly headers: readonly DecodedHeader[];
  readonly timestampMs: number;
  /** 0: it never expires. */
  readonly expiresAtMs: number;
}

const text = new TextDecoder();
const noBytes: Uint8Array = new Uint8Array(0);
const noHeaders: readonly DecodedHeader[] = [];

/**
 * Borders of each record: `borders[i]` is where record i begins (its tag), `borders[count]` the end.
 * So `bytes.subarray(borders[i], borders[j])` is a valid batch of the records i to j - 1, without a copy.
 * @throws GmqError `batch_corrupt` when the bytes hold another number of records or anything else
 */
export function indexRecords(bytes: Uint8Array, recordCount: number): Uint32Array {
  const borders = new Uint32Array(recordCount + 1);
  const reader: Reader = { bytes, position: 0 };
  let found = 0;
  while (reader.position < bytes.length) {
    if (found === recordCount) throw countMismatch(recordCount, "more");
    borders[found++] = reader.position;
    if (bytes[reader.position] !== 0x0a) {
      throw new GmqError("batch_corrupt", `byte ${reader.position} does not begin a record`, {
        field: "batch.records",
      });
    }
    reader.position++;
    const length = readVarint(reader);
    reader.position += length;
    if (reader.position > bytes.length) {
      throw new GmqError("batch_corrupt", `record ${found - 1} is longer than the batch`, { field: "batch.records" });
    }
  }
  if (found !== recordCount) throw countMismatch(recordCount, String(found));
  borders[recordCount] = bytes.length;
  return borders;
}

/** Number of records in the bytes; @throws GmqError `batch_corrupt` as `indexRecords` does. */
export function countRecords(bytes: Uint8Array): number {
  const reader: Reader = { bytes, position: 0 };
  let count = 0;
  while (reader.position < bytes.length) {
    if (bytes[reader.position] !== 0x0a) {
      throw new GmqError("batch_corrupt", `byte ${reader.position} does not begin a record`, {
        field: "batch.records",
      });
    }
    reader.position++;
    const length = readVarint(reader);
    reader.position += length;
    if (reader.position > bytes.length) {
      throw new GmqError("batch_corrupt", `record ${count} is longer than the batch`, { field: "batch.records" });
    }
    count++;
  }
  return count;
}

/**
 * Decodes every record; the results are views of `bytes`. A record without a timestamp has that of the one before it, the first `timestampMs`.
 * @throws GmqError `batch_corrupt` when the bytes are not a RecordBatch
 */
export function decodeRecords(bytes: Uint8Array, timestampMs = 0): DecodedRecord[] {
  const records: DecodedRecord[] = [];
  let lastMs = timestampMs;
  const reader: Reader = { bytes, position: 0 };
  while (reader.position < bytes.length) {
    const tag = readVarint(reader);
    if (tag !== 0x0a) throw new GmqError("batch_corrupt", `tag ${tag} is not a record`, { field: "batch.records" });
    const length = readVarint(reader);
    const end = reader.position + length;
    if (end > bytes.length) {
      throw new GmqError("batch_corrupt", `record ${records.length} is longer than the batch`, {
        field: "batch.records",
      });
    }
    const record = decodeRecord(reader, end, lastMs);
    lastMs = record.timestampMs;
    records.push(record);
  }
  return records;
}

function decodeRecord(reader: Reader, end: number, lastMs: number): DecodedRecord {
  let key: Uint8Array | undefined;
  let value: Uint8Array = noBytes;
  let headers: DecodedHeader[] | undefined;
  let timestampMs = lastMs;
  let expiresAtMs = 0;
  while (reader.position < end) {
    const tag = readVarint(reader);
    if (tag === 0x12) value = readBytes(reader);
    else if (tag === 0x0a) key = readBytes(reader);
    else if (tag === 0x20) timestampMs = readVarint(reader);
    else if (tag === 0x28) expiresAtMs = readVarint(reader);
    else if (tag === 0x1a) {
      headers ??= [];
      headers.push(decodeHeader(readBytes(reader)));
    } else skipField(reader, tag);
  }
  if (reader.position !== end)
    throw new GmqError("batch_corrupt", "a field is longer than its record", { field: "batch.records" });
  return { key, value, headers: headers ?? noHeaders, timestampMs, expiresAtMs };
}

/**
 * The timestamp of the last of these records, which is that of the next when it has none; `timestampMs` when none has one. What cannot be read has none: whoever decodes it
 * says so.
 */
export function timestampBefore(records: Uint8Array, timestampMs: number): number {
  const reader: Reader = { bytes: records, position: 0 };
  let lastMs = timestampMs;
  try {
    while (reader.position < records.length) {
      // Tag and length of the record; its fields follow.
      readVarint(reader);
      const end = readVarint(reader) + reader.position;
      while (reader.position < end) {
        const tag = readVarint(reader);
        if (tag === 0x20) lastMs = readVarint(reader);
        else skipField(reader, tag);
      }
      reader.position = end;
    }
  } catch (error) {
    if (!GmqError.is(error, "batch_corrupt")) throw error;
  }
  return lastMs;
}

function decodeHeader(bytes: Uint8Array): DecodedHeader {
  const reader: Reader = { bytes, position: 0 };
  let key = "";
  let value: Uint8Array = noBytes;
  while (reader.position < bytes.length) {
    const tag = readVarint(reader);
    if (tag === 0x0a) key = text.decode(readBytes(reader));
    else if (tag === 0x12) value = readBytes(reader);
    else skipField(reader, tag);
  }
  return { key, value };
}

function countMismatch(expected: number, found: string): GmqError {
  return new GmqError("batch_corrupt", `record_count is ${expected}, the bytes hold ${found}`, {
    field: "batch.record_count",
  });
}
