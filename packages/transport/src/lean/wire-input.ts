/**
 * Reads the parts of protobuf's wire format (protobuf.dev, "Encoding") from bytes of a peer that may send anything:
 *
 *   message = (tag value)*
 *   tag     = varint of (field number << 3 | wire type)
 *   value   = varint | 8 bytes | length bytes | start-group (tag value)* end-group | 4 bytes
 *
 * Every read throws when it would go beyond the end. Bytes beyond the array's own end are undefined: they end a varint, and then it is too long.
 */

import { GmqError, limits } from "@gmq/protocol";
import { high, low, signed, unsigned, words } from "./long-words.js";

/** Messages and groups inside each other, as protobuf-es bounds them. */
const depthMax = 100;

/** Texts up to this length are tried as ASCII, and remembered. */
const shortTextMax = 64;

/** Where in which bytes a message is being read. */
export interface WireInput {
  readonly bytes: Uint8Array;
  position: number;
  /** Where the message being read ends. */
  end: number;
  depth: number;
  /** Of lists, so far. */
  items: number;
}

const strictText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function inputOf(bytes: Uint8Array): WireInput {
  return { bytes, position: 0, end: bytes.length, depth: 1, items: 0 };
}

/** A tag or a length: at most five bytes, and no bit beyond the 32nd. */
export function readShort(input: WireInput): number {
  const { position } = input;
  const value = readUint32(input);
  const count = input.position - position;
  if (count > 4 && (count > 5 || words[high] !== 0)) throw malformed("a tag or a length is over 32 bits");
  return value;
}

/** The low 32 bits of a varint, unsigned. */
export function readUint32(input: WireInput): number {
  const first = input.bytes[input.position] as number;
  if (first < 0x80) {
    pass(input, 1);
    return first;
  }
  passVarint(input);
  return words[low] as number;
}

export function readInt32(input: WireInput): number {
  return readUint32(input) | 0;
}

export function readInt64(input: WireInput): bigint {
  passVarint(input);
  return signed[0] as bigint;
}

export function readUint64(input: WireInput): bigint {
  passVarint(input);
  return unsigned[0] as bigint;
}

export function readBool(input: WireInput): boolean {
  passVarint(input);
  return words[0] !== 0 || words[1] !== 0;
}

export function readFixed32(input: WireInput): number {
  const at = input.position;
  pass(input, 4);
  return wordAt(input.bytes, at) >>> 0;
}

export function readFixed64(input: WireInput): bigint {
  const at = input.position;
  pass(input, 8);
  words[low] = wordAt(input.bytes, at);
  words[high] = wordAt(input.bytes, at + 4);
  return unsigned[0] as bigint;
}

/** A view of the input. */
export function readBytes(input: WireInput): Uint8Array {
  const length = readShort(input);
  const start = input.position;
  pass(input, length);
  return input.bytes.subarray(start, start + length);
}

/** What a text field had in the message before; ASCII only. */
export interface TextMemory {
  last: string;
}

/** A text. One that comes again is given as it was: no new string, and none to hash. @throws TypeError when it is not UTF-8 */
export function readText(input: WireInput, memory: TextMemory): string {
  const length = readShort(input);
  const { bytes, position: start } = input;
  pass(input, length);
  if (length > shortTextMax) return strictText.decode(bytes.subarray(start, start + length));
  const { last } = memory;
  let same = length === last.length;
  for (let at = 0; same && at < length; at++) same = bytes[start + at] === last.charCodeAt(at);
  if (same) return last;
  const codes = new Array<number>(length);
  for (let at = 0; at < length; at++) {
    const code = bytes[start + at] as number;
    if (code > 0x7f) return strictText.decode(bytes.subarray(start, start + length));
    codes[at] = code;
  }
  memory.last = String.fromCharCode.apply(String, codes);
  return memory.last;
}

/** Goes into a message or a run of packed numbers. What it returns is for `leave`. */
export function enter(input: WireInput): number {
  const length = readShort(input);
  const outer = input.end;
  const end = input.position + length;
  if (end > outer) throw cutOff();
  if (++input.depth > depthMax) throw tooDeep();
  input.end = end;
  return outer;
}

export function leave(input: WireInput, outer: number): void {
  input.end = outer;
  input.depth--;
}

/** Counts an item of a list. @throws GmqError `malformed_frame` */
export function countItem(input: WireInput, list: string): void {
  if (++input.items <= limits.listItemsPerFrameMax) return;
  throw new GmqError("malformed_frame", `the lists of a frame are too long, with ${list}`, {
    field: "frame",
    limit: `${limits.listItemsPerFrameMax} items`,
  });
}

/** Passes by the value of a tag that is not known. @throws Error for a tag that there is not */
export function skip(input: WireInput, tag: number, groups = depthMax - input.depth): void {
  const wireType = tag & 7;
  if (tag < 8) throw malformed("a field has the number 0");
  if (wireType === 0) passVarint(input);
  else if (wireType === 1) pass(input, 8);
  else if (wireType === 2) pass(input, readShort(input));
  else if (wireType === 3) skipGroup(input, tag, groups);
  else if (wireType === 5) pass(input, 4);
  else throw malformed(`a field has the wire type ${wireType}`);
}

function skipGroup(input: WireInput, start: number, groups: number): void {
  if (groups <= 0) throw tooDeep();
  for (;;) {
    const tag = readShort(input);
    if (tag === start + 1) return;
    skip(input, tag, groups - 1);
  }
}

/** Leaves the varint in `words`. */
function passVarint(input: WireInput): void {
  const { bytes, position } = input;
  let at = position;
  let lower = 0;
  let upper = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number;
    const bits = byte & 0x7f;
    if (shift < 28) lower |= bits << shift;
    else if (shift === 28) {
      lower |= bits << 28;
      upper = bits >>> 4;
    } else upper |= bits << (shift - 32);
    if (!(byte >= 0x80)) break;
    if (shift === 63) throw malformed("a number is longer than ten bytes");
  }
  pass(input, at - position);
  words[low] = lower;
  words[high] = upper;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function pass(input: WireInput, count: number): void {
  const position = input.position + count;
  if (position > input.end) throw cutOff();
  input.position = position;
}

function cutOff(): Error {
  return malformed("a field goes beyond the end");
}

function tooDeep(): Error {
  return malformed("too many are inside each other");
}

export function malformed(what: string): Error {
  return new Error(`malformed message: ${what}`);
}
