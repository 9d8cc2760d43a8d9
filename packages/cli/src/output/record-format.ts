import { InvalidArgumentError } from "commander";
import { toJson } from "./write.js";

/** What `consume` can print of a record. */
export interface PrintableRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string | Uint8Array | undefined;
  readonly value: string | Uint8Array;
  readonly headers: Readonly<Record<string, string | Uint8Array>>;
  readonly timestamp: Date;
  readonly attempt: number;
}

/** Turns a record into its text with the line end. */
export type RecordPrinter = (record: PrintableRecord) => string;

/**
 * `value`: the value as text. `json`: one object a line; bytes that are not UTF-8 are base64 under `valueBase64`, `keyBase64`.
 * Anything else is a template with `{topic} {partition} {offset} {key} {value} {headers} {timestamp} {attempt}`, `\t`, `\n` and `\\`.
 * @throws InvalidArgumentError for an unknown placeholder or a text without any
 */
export function parseRecordFormat(text: string): RecordPrinter {
  if (text === "value") return (record) => `${asText(record.value)}\n`;
  if (text === "json") return (record) => `${recordJson(record)}\n`;
  return parseTemplate(text);
}

const placeholders: Readonly<Record<string, (record: PrintableRecord) => string>> = {
  topic: (record) => record.topic,
  partition: (record) => String(record.partition),
  offset: (record) => record.offset.toString(),
  key: (record) => (record.key === undefined ? "" : asText(record.key)),
  value: (record) => asText(record.value),
  headers: (record) => toJson(headerTexts(record.headers)),
  timestamp: (record) => record.timestamp.toISOString(),
  attempt: (record) => String(record.attempt),
};
const names = Object.keys(placeholders).map((name) => `{${name}}`);

function parseTemplate(text: string): RecordPrinter {
  const parts = text.split(/\{([a-zA-Z]+)\}/);
  if (parts.length === 1) {
    throw new InvalidArgumentError(`expected value, json, or a template with ${names.join(" ")}`);
  }
  const printers = parts.map((part, index): RecordPrinter => {
    if (index % 2 === 0) {
      const literal = unescaped(part);
      return () => literal;
    }
    const print = Object.hasOwn(placeholders, part) ? placeholders[part] : undefined;
    if (print === undefined) throw new InvalidArgumentError(`unknown {${part}}; there are ${names.join(" ")}`);
    return print;
  });
  return (record) => `${printers.map((print) => print(record)).join("")}\n`;
}

function unescaped(text: string): string {
  return text.replace(/\\([tn\\])/g, (_, letter: string) => (letter === "t" ? "\t" : letter === "n" ? "\n" : "\\"));
}

function recordJson(record: PrintableRecord): string {
  return toJson({
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    ...(record.key === undefined ? {} : textOrBase64("key", record.key)),
    ...textOrBase64("value", record.value),
    headers: headerTexts(record.headers),
    timestamp: record.timestamp.toISOString(),
    attempt: record.attempt,
  });
}

function headerTexts(headers: PrintableRecord["headers"]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, asText(value)]));
}

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOrBase64(name: string, value: string | Uint8Array): Record<string, string> {
  if (typeof value === "string") return { [name]: value };
  try {
    return { [name]: strictDecoder.decode(value) };
  } catch {
    // Not UTF-8: the bytes themselves, so that nothing is lost.
    return { [`${name}Base64`]: Buffer.from(value).toString("base64") };
  }
}

function asText(value: string | Uint8Array): string {
  return typeof value === "string" ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
}
