/** Bytes of messages as another encoder might write them: fields in any order and more than once, lists in parts, fields that nobody knows. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { pick, scalar } from "./random-messages.js";

/** Valid bytes of a message of the type. */
export function randomWire(desc: DescMessage, random: () => number, depth = 0): Uint8Array {
  const writer = new BinaryWriter();
  const count = Math.floor(random() * (depth === 0 ? 4 : 7));
  for (let index = 0; index < count; index++) {
    if (desc.fields.length === 0 || random() < 0.15) writeUnknown(writer, desc, random);
    else writeField(writer, pick(desc.fields, random), random, depth);
  }
  return writer.finish();
}

function writeField(writer: BinaryWriter, field: DescField, random: () => number, depth: number): void {
  const { number } = field;
  if (field.fieldKind === "map") throw new Error(`${field.toString()} has no bytes here`);
  if (field.message !== undefined) {
    writer.tag(number, WireType.LengthDelimited).bytes(randomWire(field.message, random, depth + 1));
    return;
  }
  const type = field.scalar ?? ScalarType.INT32;
  const value = (): unknown => (field.enum === undefined ? shortScalar(type, random) : Math.floor(random() * 12) - 1);
  if (field.fieldKind === "list" && wireTypeOf(type) !== WireType.LengthDelimited && random() < 0.5) {
    writer.tag(number, WireType.LengthDelimited).fork();
    for (let index = Math.floor(random() * 5); index > 0; index--) writeScalar(writer, type, value(), random);
    writer.join();
    return;
  }
  writer.tag(number, wireTypeOf(type));
  writeScalar(writer, type, value(), random);
}

/** Texts of one length are many here: a decoder may remember the last one. */
function shortScalar(type: ScalarType, random: () => number): unknown {
  if (type === ScalarType.BYTES) return new Uint8Array(Math.floor(random() * 5)).fill(random() * 256);
  if (type !== ScalarType.STRING || random() < 0.2) return scalar(type, random);
  return pick(["ab", "ba", "aa", "é", "\u00ff", "a\u0000", "x".repeat(64), "y".repeat(64), "x".repeat(65)], random);
}

function wireTypeOf(type: ScalarType): WireType {
  if (type === ScalarType.STRING || type === ScalarType.BYTES) return WireType.LengthDelimited;
  if (type === ScalarType.FIXED32) return WireType.Bit32;
  return type === ScalarType.FIXED64 ? WireType.Bit64 : WireType.Varint;
}

function writeScalar(writer: BinaryWriter, type: ScalarType, value: unknown, random: () => number): void {
  switch (type) {
    case ScalarType.STRING:
      return void writer.string(value as string);
    case ScalarType.BYTES:
      return void writer.bytes(value as Uint8Array);
    case ScalarType.FIXED32:
      return void writer.fixed32(value as number);
    case ScalarType.FIXED64:
      return void writer.fixed64(value as bigint);
    default:
      return void writer.raw(varint(BigInt(value as number | bigint | boolean), random));
  }
}

/** A varint, sometimes longer than it need be, sometimes with bits beyond those that its field has. */
function varint(value: bigint, random: () => number): Uint8Array {
  const bytes: number[] = [];
  const wide = random() < 0.05 ? 0x5a5a_5a5a_0000_0000n : 0n;
  for (let rest = BigInt.asUintN(64, value | wide); rest > 0n || bytes.length === 0; rest >>= 7n)
    bytes.push(Number(rest & 0x7fn));
  for (let more = random() < 0.2 ? Math.floor(random() * 10) : 0; more > 0 && bytes.length < 10; more--) bytes.push(0);
  return Uint8Array.from(bytes, (byte, index) => (index < bytes.length - 1 ? byte | 0x80 : byte));
}

function writeUnknown(writer: BinaryWriter, desc: DescMessage, random: () => number, groups = 0): void {
  const numbers = [15, 16, 99, 2_047, 2_048, 536_870_911].filter((number) =>
    desc.fields.every((field) => field.number !== number),
  );
  const number = pick(numbers, random);
  const wireType = pick(
    [WireType.Varint, WireType.Bit64, WireType.LengthDelimited, WireType.StartGroup, WireType.Bit32],
    random,
  );
  writer.tag(number, wireType);
  if (wireType === WireType.Varint) writer.raw(varint(BigInt(Math.floor(random() * 2 ** 40)), random));
  else if (wireType === WireType.Bit64) writer.fixed64(BigInt(Math.floor(random() * 2 ** 40)));
  else if (wireType === WireType.LengthDelimited) writer.bytes(new Uint8Array(Math.floor(random() * 5)).fill(0xff));
  else if (wireType === WireType.Bit32) writer.fixed32(Math.floor(random() * 2 ** 32));
  else {
    for (let inside = Math.floor(random() * 3); inside > 0 && groups < 5; inside--)
      writeUnknown(writer, desc, random, groups + 1);
    writer.tag(number, WireType.EndGroup);
  }
}
