/** Decodes protobuf by an uploaded descriptor set. Loaded only where it is needed. */
import { createFileRegistry, fromBinary, type JsonValue, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The messages of a descriptor set. */
export interface ProtobufTypes {
  /** Full names, sorted. */
  readonly names: readonly string[];
  /** Reads bytes as a message; gives JSON in which 64-bit numbers are texts with every digit. @throws Error when the bytes are no such message */
  decode(name: string, bytes: Uint8Array): string;
}

/** @throws Error when the bytes are no descriptor set with all its imports */
export function protobufTypesOf(descriptorSet: Uint8Array): ProtobufTypes {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  const names = [...registry].filter(({ kind }) => kind === "message").map(({ typeName }) => typeName);
  return {
    names: names.filter((name) => !name.startsWith("google.protobuf.")).sort(),
    decode(name, bytes) {
      const message = registry.getMessage(name);
      if (message === undefined) throw new Error(`there is no message ${name}`);
      return JSON.stringify(toJson(message, fromBinary(message, bytes), { registry }) satisfies JsonValue);
    },
  };
}
