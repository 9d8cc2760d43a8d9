/**
 * Encodes messages byte-equal to protobuf-es, but gathers instead of copying: large bytes fields become chunks of their own, everything else is written once
 * into a buffer of exactly the right size. Two passes, sizes first, so that no nested message is moved to make room for its length.
 * Covers what frames are made of (scalars, enums, messages, lists, oneofs); unknown fields are not written. Takes messages as protobuf-es makes them and the literals that
 * it makes them from, where what is left out has its default: making a message first costs a third of encoding it.
 */
import type { DescField, DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { high, low, signed, unsigned, words } from "./long-words.js";

/** Encodes one kind of message. The chunks belong together in order; large ones are the message's own bytes, which must not change until they are sent. */
export type GatherEncoder<Message extends DescMessage> = (message: MessageInitShape<Message>) => Uint8Array[];

/** Bytes fields from this size on are not copied. */
const gatherBytesMin = 2_048;

/** Sizes of nested messages and texts in the order in which they are met; the second pass takes them in the same order. */
interface Sizes {
  lengths: number[];
  next: number;
  /** Bytes that become chunks of their own. */
  gatheredBytes: number;
}

interface Target {
  readonly chunks: Uint8Array[];
  readonly buffer: Buffer;
  /** Where the chunk that is being written begins. */
  start: number;
  position: number;
}

type Fields = Readonly<Record<string, unknown>>;

interface Oneof {
  readonly case?: string;
  readonly value?: unknown;
}

const none: readonly unknown[] = [];

interface Codec {
  size(value: unknown, sizes: Sizes): number;
  write(value: unknown, target: Target, sizes: Sizes): void;
}

interface FieldCodec {
  size(message: Fields, sizes: Sizes): number;
  write(message: Fields, target: Target, sizes: Sizes): void;
}

/** Messages by type, so that one may hold itself. */
type Known = Map<string, Codec>;

/** Makes the encoder of a message type. @throws Error for a kind of field that frames do not use */
export function createGatherEncoder<Message extends DescMessage>(desc: Message): GatherEncoder<Message> {
  const codec = messageCodec(desc, new Map());
  return (message) => {
    const sizes: Sizes = { lengths: [], next: 0, gatheredBytes: 0 };
    const bytes = codec.size(message, sizes);
    const buffer = Buffer.allocUnsafe(bytes - sizes.gatheredBytes);
    const target: Target = { chunks: [], buffer, start: 0, position: 0 };
    codec.write(message, target, sizes);
    cut(target);
    return target.chunks;
  };
}

/** Ends the chunk that is being written. */
function cut(target: Target): void {
  const { buffer, start, position } = target;
  if (position > start)
    target.chunks.push(start === 0 && position === buffer.length ? buffer : buffer.subarray(start, position));
  target.start = position;
}

function messageCodec(desc: DescMessage, known: Known): Codec {
  const before = known.get(desc.typeName);
  if (before !== undefined) return before;
  const fields: FieldCodec[] = [];
  const codec: Codec = {
    size(value, sizes) {
      let bytes = 0;
      for (let index = 0; index < fields.length; index++)
        bytes += (fields[index] as FieldCodec).size(value as Fields, sizes);
      return bytes;
    },
    write(value, target, sizes) {
      for (let index = 0; index < fields.length; index++)
        (fields[index] as FieldCodec).write(value as Fields, target, sizes);
    },
  };
  known.set(desc.typeName, codec);
  fields.push(
    ...desc.fields.toSorted((one, other) => one.number - other.number).map((field) => fieldCodec(field, known)),
  );
  return codec;
}

function fieldCodec(field: DescField, known: Known): FieldCodec {
  switch (field.fieldKind) {
    case "message":
      return singular(field, nested(messageCodec(field.message, known)), 2, () => false);
    case "enum":
      return singular(field, scalars[ScalarType.INT32] as ScalarCodec, 0, (value) => value === 0);
    case "scalar": {
      const scalar = scalarOf(field, field.scalar);
      return singular(field, scalar, scalar.wireType, scalar.isZero);
    }
    case "list":
      if (field.listKind === "message") return list(field, nested(messageCodec(field.message, known)));
      return packed(
        field,
        field.listKind === "enum" ? (scalars[ScalarType.INT32] as ScalarCodec) : scalarOf(field, field.scalar),
      );
    case "map":
      throw unsupported(field);
  }
}

function singular(field: DescField, codec: Codec, wireType: number, isZero: (value: unknown) => boolean): FieldCodec {
  const { localName } = field;
  const tag = tagOf(field, wireType);
  const tagBytes = varintBytes(tag);
  const oneofName = field.oneof?.localName;
  /** The value when it goes on the wire. Explicit presence (messages, optional) is by being set, not by the value. */
  const implicit = field.fieldKind !== "message" && field.presence === 2;
  const present = (message: Fields): unknown => {
    if (oneofName !== undefined) {
      const oneof = message[oneofName] as Oneof | undefined;
      return oneof?.case === localName ? oneof.value : undefined;
    }
    // What is not set is on the prototype, for optional fields.
    const value = message[localName];
    if (value === undefined) return undefined;
    if (implicit) return isZero(value) ? undefined : value;
    return Object.hasOwn(message, localName) ? value : undefined;
  };
  return {
    size(message, sizes) {
      const value = present(message);
      return value === undefined ? 0 : tagBytes + codec.size(value, sizes);
    },
    write(message, target, sizes) {
      const value = present(message);
      if (value === undefined) return;
      writeVarint(target, tag);
      codec.write(value, target, sizes);
    },
  };
}

function list(field: DescField, codec: Codec): FieldCodec {
  const tag = tagOf(field, 2);
  const tagBytes = varintBytes(tag);
  const itemsOf = itemsReader(field);
  return {
    size(message, sizes) {
      const items = itemsOf(message);
      let bytes = items.length * tagBytes;
      for (let index = 0; index < items.length; index++) bytes += codec.size(items[index], sizes);
      return bytes;
    },
    write(message, target, sizes) {
      const items = itemsOf(message);
      for (let index = 0; index < items.length; index++) {
        writeVarint(target, tag);
        codec.write(items[index], target, sizes);
      }
    },
  };
}

/** Gives a list of a message; a part that was left out has none. */
function itemsReader({ localName }: DescField): (message: Fields) => readonly unknown[] {
  return (message) => (message[localName] as readonly unknown[] | undefined) ?? none;
}

/** Numbers in one length-delimited field; texts and bytes one by one. */
function packed(field: DescField & { readonly fieldKind: "list" }, codec: ScalarCodec): FieldCodec {
  if (codec.wireType === 2) return list(field, codec);
  if (!field.packed) throw unsupported(field);
  const whole = nested({
    size(items, sizes) {
      let bytes = 0;
      for (const item of items as readonly unknown[]) bytes += codec.size(item, sizes);
      return bytes;
    },
    write(items, target, sizes) {
      for (const item of items as readonly unknown[]) codec.write(item, target, sizes);
    },
  });
  const tag = tagOf(field, 2);
  const itemsOf = itemsReader(field);
  return {
    size: (message, sizes) =>
      itemsOf(message).length === 0 ? 0 : varintBytes(tag) + whole.size(itemsOf(message), sizes),
    write(message, target, sizes) {
      if (itemsOf(message).length === 0) return;
      writeVarint(target, tag);
      whole.write(itemsOf(message), target, sizes);
    },
  };
}

/** A length and what it counts; the length is worked out in the first pass and kept for the second. */
function nested(codec: Codec): Codec {
  return {
    size(value, sizes) {
      const at = sizes.lengths.push(0) - 1;
      const bytes = codec.size(value, sizes);
      sizes.lengths[at] = bytes;
      return varintBytes(bytes) + bytes;
    },
    write(value, target, sizes) {
      writeVarint(target, sizes.lengths[sizes.next++] as number);
      codec.write(value, target, sizes);
    },
  };
}

interface ScalarCodec extends Codec {
  readonly wireType: number;
  isZero(value: unknown): boolean;
}

const zero = (value: unknown): boolean => value === 0;
const zeroBig = (value: unknown): boolean => value === 0n;

const varint32: ScalarCodec = {
  wireType: 0,
  isZero: zero,
  // A negative int32 is ten bytes long: its sign goes on to 64 bits.
  size: (value) => ((value as number) < 0 ? 10 : varintBytes(value as number)),
  write(value, target) {
    if ((value as number) < 0) writeBigVarint(target, BigInt(value as number));
    else writeVarint(target, value as number);
  },
};

const varint64: ScalarCodec = {
  wireType: 0,
  isZero: zeroBig,
  size: (value) => bigVarintBytes(value as bigint),
  write: (value, target) => writeBigVarint(target, value as bigint),
};

const text: ScalarCodec = {
  wireType: 2,
  isZero: (value) => value === "",
  size(value, sizes) {
    const bytes = Buffer.byteLength(value as string);
    sizes.lengths.push(bytes);
    return varintBytes(bytes) + bytes;
  },
  write(value, target, sizes) {
    writeVarint(target, sizes.lengths[sizes.next++] as number);
    target.position += target.buffer.write(value as string, target.position);
  },
};

const bytes: ScalarCodec = {
  wireType: 2,
  isZero: (value) => (value as Uint8Array).length === 0,
  size(value, sizes) {
    const { length } = value as Uint8Array;
    if (length >= gatherBytesMin) sizes.gatheredBytes += length;
    return varintBytes(length) + length;
  },
  write(value, target) {
    const own = value as Uint8Array;
    writeVarint(target, own.length);
    if (own.length >= gatherBytesMin) {
      cut(target);
      target.chunks.push(own);
    } else {
      target.buffer.set(own, target.position);
      target.position += own.length;
    }
  },
};

const scalars: Readonly<Partial<Record<ScalarType, ScalarCodec>>> = {
  [ScalarType.INT32]: varint32,
  [ScalarType.UINT32]: varint32,
  [ScalarType.INT64]: varint64,
  [ScalarType.UINT64]: varint64,
  [ScalarType.STRING]: text,
  [ScalarType.BYTES]: bytes,
  [ScalarType.BOOL]: {
    wireType: 0,
    isZero: (value) => value === false,
    size: () => 1,
    write(value, target) {
      target.buffer[target.position++] = value === true ? 1 : 0;
    },
  },
  [ScalarType.FIXED32]: {
    wireType: 5,
    isZero: zero,
    size: () => 4,
    write: (value, target) => writeWord(target, value as number),
  },
  [ScalarType.FIXED64]: {
    wireType: 1,
    isZero: zeroBig,
    size: () => 8,
    write(value, target) {
      unsigned[0] = value as bigint;
      writeWord(target, words[low] as number);
      writeWord(target, words[high] as number);
    },
  },
};

function scalarOf(field: DescField, type: ScalarType): ScalarCodec {
  const codec = scalars[type];
  if (codec === undefined) throw unsupported(field);
  return codec;
}

/** What neither encoder nor decoder of frames knows. */
export function unsupported(desc: DescField | DescMessage): Error {
  return new Error(`${desc.toString()} is of a kind that frames do not use`);
}

function tagOf(field: DescField, wireType: number): number {
  return ((field.number << 3) | wireType) >>> 0;
}

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

function writeVarint(target: Target, value: number): void {
  const { buffer } = target;
  let { position } = target;
  let rest = value;
  while (rest >= 0x80) {
    buffer[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[position++] = rest;
  target.position = position;
}

function bigVarintBytes(value: bigint): number {
  signed[0] = value;
  const upper = words[high] as number;
  return upper === 0 ? varintBytes(words[low] as number) : Math.ceil((64 - Math.clz32(upper)) / 7);
}

function writeBigVarint(target: Target, value: bigint): void {
  const { buffer } = target;
  let { position } = target;
  signed[0] = value;
  let lower = words[low] as number;
  let upper = words[high] as number;
  while (upper !== 0 || lower >= 0x80) {
    buffer[position++] = (lower & 0x7f) | 0x80;
    lower = ((lower >>> 7) | (upper << 25)) >>> 0;
    upper >>>= 7;
  }
  buffer[position++] = lower;
  target.position = position;
}

function writeWord(target: Target, word: number): void {
  const { buffer, position } = target;
  buffer[position] = word;
  buffer[position + 1] = word >>> 8;
  buffer[position + 2] = word >>> 16;
  buffer[position + 3] = word >>> 24;
  target.position = position + 4;
}
