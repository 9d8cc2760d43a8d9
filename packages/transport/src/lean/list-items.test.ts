import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, StructSchema } from "@bufbuild/protobuf/wkt";
import { limits } from "@gmq/protocol";
import {
  AppendBatchesSchema,
  GetStoreStatusResponseSchema,
  PublishBatchesSchema,
  PublishRequestSchema,
  ResetGroupRequestSchema,
  SubscribeSchema,
} from "@gmq/protocol/messages";
import { expect, it } from "vitest";
import { checkListItems } from "./list-items.js";
import { viewDecoderOf } from "./view-decoder.js";

const most = limits.listItemsPerFrameMax;

it.each<[string, DescMessage, readonly number[], items: number]>([
  ["messages", PublishBatchesSchema, [0x12, 0], 1],
  ["lists inside a list", AppendBatchesSchema, [0x0a, 2, 0x1a, 0], 2],
  ["texts", SubscribeSchema, [0x1a, 0], 1],
  ["numbers one by one", ResetGroupRequestSchema, [0x18, 1], 1],
  ["numbers together", ResetGroupRequestSchema, [0x1a, 4, 1, 0x81, 1, 2], 3],
  ["a map", PublishRequestSchema, [0x22, 0], 1],
  ["a map of lists", StructSchema, [0x0a, 6, 0x12, 4, 0x32, 2, 0x0a, 0], 2],
])("bounds %s", (_, desc, part, items) => {
  const parts = Math.floor(most / items);
  const bytesOf = (count: number) => Buffer.alloc(part.length * count, Uint8Array.from(part));
  expect(() => checkListItems(desc, bytesOf(parts))).not.toThrow();
  expect(() => checkListItems(desc, bytesOf(parts + 1))).toThrowError(
    expect.objectContaining({ code: "malformed_frame", limit: `${most} items` }),
  );
});

it("passes what has everything that there is", () => {
  const { proto } = FileDescriptorProtoSchema.file;
  const bytes = toBinary(FileDescriptorProtoSchema, proto);
  expect(() => checkListItems(FileDescriptorProtoSchema, bytes)).not.toThrow();
  const status = create(GetStoreStatusResponseSchema, { engine: "redis", details: { a: "b", c: "d" } });
  expect(() =>
    checkListItems(GetStoreStatusResponseSchema, toBinary(GetStoreStatusResponseSchema, status)),
  ).not.toThrow();
});

it("refuses what is no message, as a decoder does", () => {
  for (const bytes of [[0xff], [0x12, 4, 0], [0x12], [0x0b], [0x06], [0x12, 2, 0x0a, 5]])
    expect(() => checkListItems(PublishBatchesSchema, Uint8Array.from(bytes))).toThrowError(
      expect.objectContaining({ code: "malformed_frame" }),
    );
  // Bytes that are passed by are not decoded.
  expect(() => viewDecoderOf(PublishBatchesSchema)(Uint8Array.from([0x12, 2, 0x0a, 5]))).toThrow();
});
