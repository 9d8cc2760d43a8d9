import { GmqError } from "../errors.js";

/** Bytes that `value` (an integer from 0 to 2^53 - 1) takes as a varint. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let bytes = 5;
  for (let rest = Math.floor(value / 0x800000000); rest > 0; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Writes `value` (an integer from 0 to 2^53 - 1) at `position` and returns the position after it. */
export function writeVarint(target: Uint8Array, position: number, value: number): number {
  let rest = value;
  while (rest >= 0x80000000) {
    target[position++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    target[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[position++] = rest;
  return position;
}

/** A cursor over encoded bytes; reads never copy. */
export interface Reader {
  readonly bytes: Uint8Array;
  position: number;
}

/**
 * Reads a varint of up to 2^53 - 1.
 * @throws GmqError `batch_corrupt` when it is cut off or larger
 */
export function readVarint(reader: Reader): number {
  const { bytes } = reader;
  let position = reader.position;
  let byte = bytes[position++];
  if (byte === undefined) throw cutOff(reader);
  if (byte < 0x80) {
    reader.position = position;
    return byte;
  }
  let value = byte & 0x7f;
  let factor = 0x80;
  for (let count = 1; count < 8; count++) {
    byte = bytes[position++];
    if (byte === undefined) throw cutOff(reader);
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      if (value > Number.MAX_SAFE_INTEGER) break;
      reader.position = position;
      return value;
    }
    factor *= 0x80;
  }
  throw new GmqError("batch_corrupt", `varint at byte ${reader.position} is larger than 2^53 - 1`);
}

/** Reads a length-delimited field as a view of the reader's bytes. */
export function readBytes(reader: Reader): Uint8Array {
  const length = readVarint(reader);
  const end = reader.position + length;
  if (end > reader.bytes.length) throw cutOff(reader);
  const view = reader.bytes.subarray(reader.position, end);
  reader.position = end;
  return view;
}

/** Steps over a field whose tag was just read; unknown fields are allowed in a record. */
export function skipField(reader: Reader, tag: number): void {
  const wireType = tag & 7;
  if (wireType === 0) readVarint(reader);
  else if (wireType === 1) reader.position += 8;
  else if (wireType === 2) readBytes(reader);
  else if (wireType === 5) reader.position += 4;
  else throw new GmqError("batch_corrupt", `wire type ${wireType} at byte ${reader.position} is not allowed`);
  if (reader.position > reader.bytes.length) throw cutOff(reader);
}

function cutOff(reader: Reader): GmqError {
  return new GmqError("batch_corrupt", `bytes end in the middle of a field that begins at byte ${reader.position}`);
}
