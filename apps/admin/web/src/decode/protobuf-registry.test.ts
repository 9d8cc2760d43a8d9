import { create, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { PartitionCursorSchema } from "@gmq/protocol/messages";
import { expect, it } from "vitest";
import { protobufTypesOf } from "./protobuf-registry.js";

/** A file after all that it imports. */
function filesOf(file: typeof PartitionCursorSchema.file): FileDescriptorProto[] {
  return [...file.dependencies.flatMap(filesOf), file.proto];
}
const file = [...new Map(filesOf(PartitionCursorSchema.file).map((proto) => [proto.name, proto])).values()];
const types = protobufTypesOf(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file })));

it("names the messages and decodes them with every digit", () => {
  expect(types.names).toContain("gmq.v1.PartitionCursor");
  const bytes = toBinary(
    PartitionCursorSchema,
    create(PartitionCursorSchema, { partition: 3, offset: 9007199254740993n }),
  );
  expect(types.decode("gmq.v1.PartitionCursor", bytes)).toBe('{"partition":3,"offset":"9007199254740993"}');
});

it("says of bytes that are no message that they are none", () => {
  expect(() => types.decode("gmq.v1.PartitionCursor", Uint8Array.from([0xff]))).toThrow();
  expect(() => protobufTypesOf(Uint8Array.from([1, 2, 3]))).toThrow();
});
