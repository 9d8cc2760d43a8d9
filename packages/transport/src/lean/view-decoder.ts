/**
 * Decodes messages to what protobuf-es' `fromBinary` makes of them, without unknown fields; bytes fields are views of what was given. It is the other half of
 * gather-encoder.ts: made once per type, for the kinds of field that frames have. A message's fields are read into a row of values, and the message is made of the row
 * in one piece (frame-shapes.ts). Stricter than fromBinary: a field of another wire type, or one that goes beyond its message, is refused.
 */
import { type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { type Construct, frameShapes } from "./frame-shapes.js";
import { unsupported } from "./gather-encoder.js";
import {
  countItem,
  enter,
  inputOf,
  leave,
  malformed,
  readBool,
  readBytes,
  readFixed32,
  readFixed64,
  readInt32,
  readInt64,
  readShort,
  readText,
  readUint32,
  readUint64,
  skip,
  type TextMemory,
  type WireInput,
} from "./wire-input.js";

/** Decodes one kind of message. @throws Error when the bytes are not one, GmqError `malformed_frame` when its lists are too long */
export type ViewDecoder<Message extends DescMessage> = (bytes: Uint8Array) => MessageShape<Message>;

type Fields = Readonly<Record<string, unknown>>;

/** A message's type name and its members in the descriptor's order; undefined what is not set. */
type Values = unknown[];

/** Reads what stands behind one tag into its place in the row. */
type FieldReader = (values: Values, input: WireInput) => void;

/** Reads one value. A message that comes again is merged with the one read before. */
type Read = (input: WireInput, before: unknown) => unknown;

/** Messages by type, so that one may hold itself. */
type Known = Map<string, Read>;

type Member = DescMessage["members"][number];

const decoders = new WeakMap<DescMessage, Read>();

/** The decoder of a message type, made with the first who asks for it. @throws Error for a kind of field that frames do not use */
export function viewDecoderOf<Message extends DescMessage>(desc: Message): ViewDecoder<Message> {
  const read = decoders.get(desc) ?? messageReader(desc, new Map());
  decoders.set(desc, read);
  return (bytes) => read(inputOf(bytes), undefined) as MessageShape<Message>;
}

function messageReader(desc: DescMessage, known: Known): Read {
  const made = known.get(desc.typeName);
  if (made !== undefined) return made;
  const { typeName, members, fields, file } = desc;
  if (file.edition !== proto3 || file.proto.package === "google.protobuf") throw unsupported(desc);
  const names = members.map(({ localName }) => localName);
  const zeros: Values = [typeName, ...members.map(zeroOf)];
  /** Lists and oneofs are new for each message, and made last. */
  const late = members.flatMap((member, index) =>
    member.kind === "oneof" || member.fieldKind === "list" ? [{ place: index + 1, kind: member.kind }] : [],
  );
  const construct = constructorOf(members);
  const byTag: (FieldReader | undefined)[] = [];
  const numbers = new Set(fields.map(({ number }) => number));

  function read(input: WireInput, before: unknown): unknown {
    const { end } = input;
    const values = before === undefined ? zeros.slice() : [typeName, ...names.map((name) => (before as Fields)[name])];
    while (input.position < end) {
      const tag = readShort(input);
      const field = tag < byTag.length ? byTag[tag] : undefined;
      if (field !== undefined) field(values, input);
      else if (numbers.has(tag >>> 3))
        throw malformed(`field ${tag >>> 3} of ${typeName} has the wire type ${tag & 7}`);
      else skip(input, tag);
    }
    for (let index = 0; index < late.length; index++) {
      const { place, kind } = late[index] as (typeof late)[number];
      values[place] ??= kind === "oneof" ? { case: undefined } : [];
    }
    return construct.apply(undefined, values);
  }

  known.set(typeName, read);
  for (const field of fields) {
    const { wireType, reader } = valueKind(field, known);
    const place = 1 + members.indexOf(field.oneof ?? field);
    const one = fieldReader(field, place, reader());
    byTag[(field.number << 3) | wireType] = one;
    if (field.fieldKind === "list" && wireType !== 2) byTag[(field.number << 3) | 2] = packed(one);
  }
  for (let tag = 0; tag < byTag.length; tag++) byTag[tag] ??= undefined;
  return read;
}

/** What is in the row before anything is read. */
function zeroOf(member: Member): unknown {
  if (member.kind === "oneof" || member.presence !== 2) return undefined;
  if (member.fieldKind === "enum") return 0;
  return member.fieldKind === "scalar" ? scalars[member.scalar]?.zero : undefined;
}

function constructorOf(members: readonly Member[]): Construct {
  const names = members.map(({ localName }) => localName);
  const key = members.map((member) => (isOptional(member) ? `${member.localName}?` : member.localName)).join(" ");
  if (Object.hasOwn(frameShapes, key)) return frameShapes[key] as Construct;
  return ($typeName, ...values) => {
    const message: Record<string, unknown> = { $typeName };
    for (let index = 0; index < values.length; index++) {
      if (values[index] !== undefined) message[names[index] as string] = values[index];
    }
    return message;
  };
}

/** Left out of a message that does not have it. */
function isOptional(member: Member): boolean {
  return member.kind === "field" && member.fieldKind !== "list" && zeroOf(member) === undefined;
}

function fieldReader({ localName, name, parent, oneof, fieldKind }: DescField, place: number, read: Read): FieldReader {
  if (oneof !== undefined) {
    return (values, input) => {
      const before = values[place] as { readonly case: string; readonly value: unknown } | undefined;
      values[place] = { case: localName, value: read(input, before?.case === localName ? before.value : undefined) };
    };
  }
  if (fieldKind !== "list") {
    return (values, input) => {
      values[place] = read(input, values[place]);
    };
  }
  const list = `${parent.typeName}.${name}`;
  return (values, input) => {
    countItem(input, list);
    const item = read(input, undefined);
    const items = values[place] as unknown[] | undefined;
    // A list is made of the size of its first item: most have one.
    if (items === undefined) values[place] = [item];
    else items.push(item);
  };
}

/** Numbers of a list one after the other, as well as one by one. */
function packed(one: FieldReader): FieldReader {
  return (values, input) => {
    const outer = enter(input);
    while (input.position < input.end) one(values, input);
    leave(input, outer);
  };
}

interface Value {
  readonly wireType: number;
  readonly zero?: unknown;
  /** One for each field: what a field remembers is its own. */
  reader(): Read;
}

function valueKind(field: DescField, known: Known): Value {
  if (field.fieldKind === "map" || field.number > fieldNumberMax) throw unsupported(field);
  if (field.message !== undefined) {
    const readMessage = messageReader(field.message, known);
    const nested: Read = (input, before) => {
      const outer = enter(input);
      const message = readMessage(input, before);
      leave(input, outer);
      return message;
    };
    return { wireType: 2, reader: () => nested };
  }
  const value = scalars[field.scalar ?? ScalarType.INT32];
  const isOther = field.enum === undefined ? field.longAsString : !field.enum.open;
  if (value === undefined || isOther) throw unsupported(field);
  return value;
}

/** Up to two bytes of tag: readers are found by index. */
const fieldNumberMax = 2_047;

const proto3 = 999;

/** Topics, groups and ids come again with each frame. */
function textReader(): Read {
  const memory: TextMemory = { last: "" };
  return (input) => readText(input, memory);
}

const scalars: Readonly<Partial<Record<ScalarType, Value>>> = {
  [ScalarType.INT32]: { wireType: 0, zero: 0, reader: () => readInt32 },
  [ScalarType.UINT32]: { wireType: 0, zero: 0, reader: () => readUint32 },
  [ScalarType.INT64]: { wireType: 0, zero: 0n, reader: () => readInt64 },
  [ScalarType.UINT64]: { wireType: 0, zero: 0n, reader: () => readUint64 },
  [ScalarType.BOOL]: { wireType: 0, zero: false, reader: () => readBool },
  [ScalarType.FIXED32]: { wireType: 5, zero: 0, reader: () => readFixed32 },
  [ScalarType.FIXED64]: { wireType: 1, zero: 0n, reader: () => readFixed64 },
  [ScalarType.STRING]: { wireType: 2, zero: "", reader: textReader },
  [ScalarType.BYTES]: { wireType: 2, zero: new Uint8Array(0), reader: () => readBytes },
};
