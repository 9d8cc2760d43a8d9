import { isDeepStrictEqual } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInThisContext } from "node:vm";
import {
  create,
  createFileRegistry,
  type DescMessage,
  equals,
  fromBinary,
  isMessage,
  type MessageInitShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FieldDescriptorProtoSchema,
  FieldOptions_JSType,
  FileDescriptorProtoSchema,
  StringValueSchema,
} from "@bufbuild/protobuf/wkt";
import { limits } from "@gmq/protocol";
import {
  AppendBatchesSchema,
  BatchSchema,
  DeliverSchema,
  GetStoreStatusResponseSchema,
  LinkRequestSchema,
  LinkResponseSchema,
  OwnershipSchema,
  PartitionBatchSchema,
  PartitionFetchSchema,
  PublishBatchesSchema,
  RevokedSchema,
  SessionRequestSchema,
  SessionResponseSchema,
  SignalSchema,
  StartPositionSchema,
} from "@gmq/protocol/messages";
import { describe, expect, it } from "vitest";
import { fill, randomOf } from "../../test/random-messages.js";
import { randomWire } from "../../test/random-wire.js";
import { frameShapes } from "./frame-shapes.js";
import { viewDecoderOf } from "./view-decoder.js";

const frames = [SessionRequestSchema, SessionResponseSchema, LinkRequestSchema, LinkResponseSchema];

/** The frames' types and all that is inside them. */
const types = [...new Set(frames.flatMap((frame) => [...nestedTypes(frame, new Set())]))];

function nestedTypes(desc: DescMessage, seen: Set<DescMessage>): Set<DescMessage> {
  if (seen.has(desc)) return seen;
  seen.add(desc);
  for (const { message } of desc.fields) if (message !== undefined) nestedTypes(message, seen);
  return seen;
}

function expected(desc: DescMessage, bytes: Uint8Array): unknown {
  return fromBinary(desc, bytes, { readUnknownFields: false });
}

function expectSame(desc: DescMessage, bytes: Uint8Array, hint: string): void {
  const decoded = viewDecoderOf(desc)(bytes);
  const wanted = expected(desc, bytes);
  if (!isDeepStrictEqual(decoded, wanted)) expect(decoded, hint).toStrictEqual(wanted);
  expect(isDeepStrictEqual(decoded, wanted), hint).toBe(true);
}

/** What becomes of bytes: a message, or undefined when they are refused. */
function outcome(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return undefined;
  }
}

function wire(write: (writer: BinaryWriter) => unknown): Uint8Array {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
}

describe("view decoder", () => {
  it.each(types)("makes of $typeName what fromBinary makes of it", (desc) => {
    for (let seed = 1; seed <= 60; seed++) {
      const bytes = Buffer.from(toBinary(desc, fill(desc, randomOf(seed))));
      expectSame(desc, bytes, `seed ${seed}`);
    }
    expectSame(desc, new Uint8Array(0), "no bytes");
  });

  it.each(types)("takes $typeName in any order, in parts, twice, and with what it does not know", (desc) => {
    for (let seed = 1; seed <= 300; seed++) expectSame(desc, randomWire(desc, randomOf(seed)), `seed ${seed}`);
  });

  it.each(frames)("throws, or makes of damaged bytes of $typeName what fromBinary makes of them", (desc) => {
    const decode = viewDecoderOf(desc);
    const seen = { refused: 0, taken: 0 };
    for (let seed = 1; seed <= 6_000; seed++) {
      const random = randomOf(seed);
      const bytes = Buffer.from(randomWire(desc, random));
      const cut = bytes.subarray(0, random() < 0.5 ? bytes.length : Math.floor(random() * bytes.length));
      for (let damage = Math.floor(random() * 3); damage > 0 && cut.length > 0; damage--) {
        cut[Math.floor(random() * cut.length)] = random() * 256;
      }
      const decoded = outcome(() => decode(cut));
      if (decoded === undefined) seen.refused++;
      else {
        seen.taken++;
        expect(
          isDeepStrictEqual(
            decoded,
            outcome(() => expected(desc, cut)),
          ),
          `seed ${seed}`,
        ).toBe(true);
      }
    }
    expect(seen.refused).toBeGreaterThan(500);
    expect(seen.taken).toBeGreaterThan(500);
  });

  it("gives bytes as views of what was given", () => {
    const sent = create(BatchSchema, { records: new Uint8Array(100).fill(7) });
    const bytes = toBinary(BatchSchema, sent);
    const { records } = viewDecoderOf(BatchSchema)(bytes) as typeof sent;
    expect(records.buffer).toBe(bytes.buffer);
    expect(records).toEqual(sent.records);
  });

  it("makes messages that protobuf-es works with", () => {
    const init: MessageInitShape<typeof PartitionFetchSchema> = {
      ownership: { topic: "orders", epoch: 4n },
      position: 9n,
    };
    const sent = create(PartitionFetchSchema, init);
    const decoded = viewDecoderOf(PartitionFetchSchema)(toBinary(PartitionFetchSchema, sent)) as typeof sent;
    expect(isMessage(decoded, PartitionFetchSchema)).toBe(true);
    expect(isMessage(decoded.ownership, OwnershipSchema)).toBe(true);
    expect(equals(PartitionFetchSchema, decoded, sent)).toBe(true);
    expect(toJson(PartitionFetchSchema, decoded)).toEqual({
      ownership: { topic: "orders", epoch: "4" },
      position: "9",
    });
    expect(toBinary(PartitionFetchSchema, decoded)).toEqual(toBinary(PartitionFetchSchema, sent));
  });

  it("merges a message that comes twice, takes the last of two scalars and the last case of a oneof", () => {
    const first = create(PartitionFetchSchema, { ownership: { topic: "one", group: "workers" }, position: 1n });
    const second = create(PartitionFetchSchema, { ownership: { topic: "two", partition: 3 }, position: 2n });
    const bytes = Buffer.concat([first, second].map((message) => toBinary(PartitionFetchSchema, message)));
    expect(viewDecoderOf(PartitionFetchSchema)(bytes)).toStrictEqual(
      create(PartitionFetchSchema, { ownership: { topic: "two", group: "workers", partition: 3 }, position: 2n }),
    );
    const cases: MessageInitShape<typeof SignalSchema>[] = [
      { about: { case: "partition", value: { topic: "orders", partition: 4 } } },
      { about: { case: "partition", value: { endOffset: 5n } } },
    ];
    const signals = Buffer.concat(cases.map((init) => toBinary(SignalSchema, create(SignalSchema, init))));
    expect(viewDecoderOf(SignalSchema)(signals)).toStrictEqual(
      create(SignalSchema, { about: { case: "partition", value: { topic: "orders", partition: 4, endOffset: 5n } } }),
    );
    const resync = toBinary(SignalSchema, create(SignalSchema, { about: { case: "resync", value: false } }));
    expect(viewDecoderOf(SignalSchema)(Buffer.concat([signals, resync]))).toStrictEqual(
      create(SignalSchema, { about: { case: "resync", value: false } }),
    );
  });

  it("takes numbers of a list packed, one by one and mixed", () => {
    const bytes = wire((writer) =>
      writer.uint32(16).uint32(7).uint32(18).fork().uint32(300).uint32(0).join().uint32(16).uint32(9),
    );
    expect(viewDecoderOf(RevokedSchema)(bytes)).toStrictEqual(create(RevokedSchema, { assignmentIds: [7, 300, 0, 9] }));
  });

  it("tells an optional field that is empty from one that is not set", () => {
    const set = create(BatchSchema, { dedupeId: "" });
    expect(viewDecoderOf(BatchSchema)(toBinary(BatchSchema, set))).toStrictEqual(set);
    expect(Object.hasOwn(viewDecoderOf(BatchSchema)(new Uint8Array(0)) as object, "dedupeId")).toBe(false);
  });

  it("does not take invalid UTF-8 for the text before, though its code points are the same", () => {
    const decode = viewDecoderOf(OwnershipSchema);
    const text = (...bytes: number[]) => Uint8Array.of(10, bytes.length, ...bytes);
    expect(decode(text(0xc3, 0xbf))).toHaveProperty("group", "ÿ");
    expect(() => decode(text(0xff))).toThrowError(TypeError);
    expect(decode(text(0x61, 0x62))).toHaveProperty("group", "ab");
    expect(decode(text(0x61, 0x63))).toHaveProperty("group", "ac");
    expect(decode(text(0xef, 0xbb, 0xbf))).toHaveProperty("group", "\ufeff");
  });

  it("gives messages of a type one shape", () => {
    setFlagsFromString("--allow-natives-syntax");
    const sameMap = runInThisContext("(one, other) => %HaveSameMap(one, other)") as (
      one: unknown,
      other: unknown,
    ) => boolean;
    for (const desc of types) {
      const decode = viewDecoderOf(desc);
      const filled = toBinary(desc, fill(desc, randomOf(1)));
      expect(sameMap(decode(filled), decode(filled)), desc.typeName).toBe(true);
    }
  });
});

describe("view decoder, malformed bytes", () => {
  const tooLong = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];

  it.each<[string, DescMessage, number[]]>([
    ["a varint where bytes belong", BatchSchema, [0x48, 1]],
    ["eight bytes where a varint belongs", BatchSchema, [0x09, 1, 2, 3, 4, 5, 6, 7, 8]],
    ["a length where a varint belongs", BatchSchema, [0x0a, 1, 1]],
    ["four bytes where eight belong", BatchSchema, [0x25, 1, 2, 3, 4]],
    ["a group where a message belongs", PartitionBatchSchema, [0x13, 0x14]],
    ["the field number 0", BatchSchema, [0x00, 1]],
    ["the field number 0 with a length", BatchSchema, [0x02, 0]],
    ["the wire type 6", BatchSchema, [0x7e, 1]],
    ["the wire type 7", BatchSchema, [0x7f, 1]],
    ["an end of a group that was not begun", BatchSchema, [0x7c]],
    ["another group's end", BatchSchema, [0x7b, 0x84, 0x01]],
    ["a group without an end", BatchSchema, [0x7b, 0x78, 1]],
    ["a tag alone", BatchSchema, [0x08]],
    ["a varint that is cut off", BatchSchema, [0x08, 0x80]],
    ["a varint of eleven bytes", BatchSchema, [0x08, ...tooLong]],
    ["an unknown varint of eleven bytes", BatchSchema, [0x78, ...tooLong]],
    ["a tag of more than 32 bits", BatchSchema, [0x88, 0x80, 0x80, 0x80, 0x10, 1]],
    ["a length of more than 32 bits", BatchSchema, [0x4a, 0x80, 0x80, 0x80, 0x80, 0x10]],
    ["a length of 4 GiB less one", BatchSchema, [0x4a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]],
    ["bytes that are cut off", BatchSchema, [0x4a, 3, 1, 2]],
    ["a text that is cut off", BatchSchema, [0x42, 3, 0x61]],
    ["a text that is not UTF-8", BatchSchema, [0x42, 1, 0xff]],
    ["four bytes that are cut off", BatchSchema, [0x1d, 1, 2, 3]],
    ["eight bytes that are cut off", BatchSchema, [0x21, 1, 2, 3, 4, 5, 6, 7]],
    ["unknown bytes that are cut off", BatchSchema, [0x7a, 2, 1]],
    ["a message that is cut off", PartitionBatchSchema, [0x12, 2, 0x08]],
    ["a field that goes beyond its message into the next", PartitionBatchSchema, [0x12, 1, 0x08, 0x08, 0x01]],
    ["bytes that go beyond their message", PartitionBatchSchema, [0x12, 2, 0x4a, 2, 0x08, 0x01]],
    ["a packed number that goes beyond its list", RevokedSchema, [0x12, 1, 0x80, 0x01]],
  ])("refuses %s", (_, desc, bytes) => {
    expect(() => viewDecoderOf(desc)(Uint8Array.from(bytes))).toThrowError();
    // The same inside a larger array: what is behind is another's.
    const inside = Uint8Array.from([...bytes, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).subarray(0, bytes.length);
    expect(() => viewDecoderOf(desc)(inside)).toThrowError();
  });

  it.each<[string, DescMessage, number[], number, string]>([
    ["empty messages", PublishBatchesSchema, [0x12, 0], 1, "gmq.v1.PublishBatches.batches"],
    ["numbers", RevokedSchema, [0x10, 0], 1, "gmq.v1.Revoked.assignment_ids"],
    ["lists inside a list", AppendBatchesSchema, [0x0a, 2, 0x1a, 0], 2, "gmq.v1.AppendBatches.appends"],
  ])("bounds the items of a frame's lists: %s", (_, desc, part, itemsInPart, list) => {
    const most = limits.listItemsPerFrameMax;
    const bytesOf = (parts: number) => Buffer.alloc(part.length * parts, Uint8Array.from(part));
    expect(() => viewDecoderOf(desc)(bytesOf(most / itemsInPart))).not.toThrow();
    expect(() => viewDecoderOf(desc)(bytesOf(most / itemsInPart + 1))).toThrowError(
      expect.objectContaining({
        code: "malformed_frame",
        limit: `${most} items`,
        message: expect.stringContaining(list),
      }),
    );
  });

  it("bounds groups and messages inside each other", () => {
    const groups = (count: number) =>
      wire((writer) => {
        for (let index = 0; index < count; index++) writer.tag(15, WireType.StartGroup);
        for (let index = 0; index < count; index++) writer.tag(15, WireType.EndGroup);
      });
    expectSame(StartPositionSchema, groups(99), "99 groups");
    expect(() => viewDecoderOf(StartPositionSchema)(groups(100))).toThrowError(/too many are inside each other/);
    expect(() => viewDecoderOf(StartPositionSchema)(groups(100_000))).toThrowError(/too many are inside each other/);

    const nest = fileWith({ name: "nest", typeName: ".test.Type" });
    const messages = (count: number) => {
      let bytes = new Uint8Array(0);
      for (let index = 1; index < count; index++)
        bytes = wire((writer) => writer.tag(1, WireType.LengthDelimited).bytes(bytes)) as typeof bytes;
      return bytes;
    };
    expectSame(nest, messages(100), "100 messages");
    expect(() => viewDecoderOf(nest)(messages(101))).toThrowError(/too many are inside each other/);
    expect(outcome(() => expected(nest, messages(101)))).toBeUndefined();

    const many = Array.from({ length: 1_000 }, (_, offset) => ({ entry: { baseOffset: BigInt(offset) } }));
    const deliver = create(DeliverSchema, { entries: many });
    expect(viewDecoderOf(DeliverSchema)(toBinary(DeliverSchema, deliver))).toStrictEqual(deliver);
  });
});

/** A proto3 type `test.Type` with one field. */
function fileWith(field: MessageInitShape<typeof FieldDescriptorProtoSchema>, syntax = "proto3"): DescMessage {
  const label = FieldDescriptorProto_Label.OPTIONAL;
  const file = create(FileDescriptorProtoSchema, {
    name: "test.proto",
    package: "test",
    syntax,
    messageType: [
      {
        name: "Type",
        field: [{ number: 1, type: FieldDescriptorProto_Type.MESSAGE, label, ...field }],
      },
    ],
  });
  return createFileRegistry(file, () => undefined).getMessage("test.Type") as DescMessage;
}

describe("view decoder, what it is for", () => {
  const refused = [
    GetStoreStatusResponseSchema,
    StringValueSchema,
    fileWith({ name: "share", type: FieldDescriptorProto_Type.DOUBLE }),
    fileWith({ name: "high", number: 2_048, type: FieldDescriptorProto_Type.UINT32 }),
    fileWith({ name: "old", type: FieldDescriptorProto_Type.UINT32 }, "proto2"),
    fileWith({
      name: "text",
      type: FieldDescriptorProto_Type.INT64,
      options: { jstype: FieldOptions_JSType.JS_STRING },
    }),
  ];

  it("refuses kinds of field that frames do not have when it is made, not when bytes come", () => {
    for (const desc of refused) expect(() => viewDecoderOf(desc), desc.typeName).toThrowError(/frames do not use/);
    const last = fileWith({ name: "last", number: 2_047, type: FieldDescriptorProto_Type.UINT32 });
    expectSame(last, Uint8Array.of(0xf8, 0x7f, 7), "the last number");
  });
});

describe("frame shapes", () => {
  /** The key of each type in frames, as it would find its shape. */
  const keys = new Map(types.map((desc) => [keyOf(desc), desc]));

  function keyOf({ members }: DescMessage): string {
    return members
      .map((member) => {
        const isOptional =
          member.kind === "field" &&
          member.fieldKind !== "list" &&
          (member.fieldKind === "message" || member.presence === 1);
        return isOptional ? `${member.localName}?` : member.localName;
      })
      .join(" ");
  }

  it.each(Object.keys(frameShapes))("%s: belongs to a type, and puts each value under its name", (key) => {
    expect([...keys.keys()]).toContain(key);
    const construct = frameShapes[key] as (...values: unknown[]) => object;
    const members = key.split(" ");
    const optional = members.filter((name) => name.endsWith("?"));
    for (let left = 0; left < 2 ** optional.length; left++) {
      const missing = optional.filter((_, index) => ((left >> index) & 1) === 1);
      const values = members.map((name) => (missing.includes(name) ? undefined : `value of ${name}`));
      const wanted = members
        .filter((name) => !missing.includes(name))
        .map((name) => [name.replace("?", ""), `value of ${name}`]);
      expect(construct("gmq.v1.Type", ...values)).toStrictEqual({
        $typeName: "gmq.v1.Type",
        ...Object.fromEntries(wanted),
      });
    }
  });

  it("there is one for what a record passes", () => {
    for (const desc of [
      SessionRequestSchema,
      BatchSchema,
      DeliverSchema,
      OwnershipSchema,
      PartitionFetchSchema,
      SignalSchema,
    ]) {
      expect(frameShapes).toHaveProperty([keyOf(desc)]);
    }
  });
});
