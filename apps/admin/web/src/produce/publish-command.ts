import { base64Encode } from "@bufbuild/protobuf/wire";
import type { Header } from "@gmq/protocol/messages";
import { textOf } from "../decode/decoders.js";
import { quote } from "../parts/copy-as.js";

interface PublishedRecord {
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array;
  readonly headers: readonly Pick<Header, "key" | "value">[];
  /** "": by its key, or in turn. */
  readonly partition?: string;
}

/** `gmq publish` of one record: by options where everything is text, else as a line of `--format records`, which has bytes as base64. Undefined: a header's name is there twice, and the command line sends each once. */
export function publishCommand(topic: string, record: PublishedRecord): string | undefined {
  const { key, value, headers, partition = "" } = record;
  const names = new Set(headers.map((header) => header.key));
  if (names.size < headers.length) return undefined;
  const texts = [key, value, ...headers.map((header) => header.value)].map((bytes) =>
    bytes === undefined ? "" : textOf(bytes),
  );
  const isPlain = texts.every((text) => text !== undefined && !text.includes("\0"));
  // No command line can hold a NUL, and an option's header ends its name at the first "=".
  if (!isPlain || [...names].some((name) => name.includes("="))) return lineCommand(topic, record);
  const flags = [
    ...(key === undefined ? [] : [["key", textOf(key)]]),
    ...(partition === "" ? [] : [["partition", partition]]),
    ...headers.map((header) => ["header", `${header.key}=${textOf(header.value)}`]),
  ];
  return `gmq publish ${quote(topic)}${flags.map(([name, text = ""]) => ` --${name} ${quote(text)}`).join("")} -- ${quote(textOf(value) ?? "")}`;
}

function lineCommand(topic: string, { key, value, headers, partition = "" }: PublishedRecord): string {
  const line = JSON.stringify({
    ...(key === undefined ? {} : { key: base64Encode(key), keyEncoding: "base64" }),
    value: base64Encode(value),
    valueEncoding: "base64",
    headers: headers.map((header) => ({ key: header.key, value: base64Encode(header.value), encoding: "base64" })),
    ...(partition === "" ? {} : { partition: Number(partition) }),
  });
  return `printf '%s\\n' ${quote(line)} | gmq publish ${quote(topic)} --format records`;
}
