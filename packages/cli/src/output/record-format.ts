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

/** Turns a record into its line, with the end of it. Keys and values are the bytes that they are. */
export type RecordPrinter = (record: PrintableRecord) => Uint8Array;

const lineEnd = Buffer.from("\n");

/**
 * `value`: the value. `json`: one object a line; bytes that are not UTF-8 are base64 under `valueBase64`, `keyBase64`, `headersBase64`.
 * Anything else is a template with `{topic} {partition} {offset} {key} {value} {headers} {timestamp} {attempt}`, `\t`, `\n` and `\\`.
 * @throws InvalidArgumentError for an unknown placeholder or a text without any
 */
export function parseRecordFormat(text: string): RecordPrinter {
  if (text === "value") return (record) => valueLine(record.value);
  if (text === "json") return (record) => Buffer.from(`${recordJson(record)}\n`);
  return parseTemplate(text);
}

/** A value on a line of its own. */
export function valueLine(value: string | Uint8Array): Uint8Array {
  return Buffer.concat([asBytes(value), lineEnd]);
}

const placeholders: Readonly<Record<string, (record: PrintableRecord) => string | Uint8Array>> = {
  topic: (record) => record.topic,
  partition: (record) => String(record.partition),
  offset: (record) => record.offset.toString(),
  key: (record) => record.key ?? "",
  value: (record) => record.value,
  headers: (record) => toJson(headersOf(record.headers).headers),
  timestamp: (record) => record.timestamp.toISOString(),
  attempt: (record) => String(record.attempt),
};
const names = Object.keys(placeholders).map((name) => `{${name}}`);

function parseTemplate(text: string): RecordPrinter {
  const parts = text.split(/\{([a-zA-Z]+)\}/);
  if (parts.length === 1) {
    throw new InvalidArgumentError(`expected value, json, or a template with ${names.join(" ")}`);
  }
  const printers = parts.map((part, index): ((record: PrintableRecord) => string | Uint8Array) => {
    if (index % 2 === 0) {
      const literal = Buffer.from(unescaped(part));
      return () => literal;
    }
    const print = Object.hasOwn(placeholders, part) ? placeholders[part] : undefined;
    if (print === undefined) throw new InvalidArgumentError(`unknown {${part}}; there are ${names.join(" ")}`);
    return print;
  });
  return (record) => Buffer.concat([...printers.map((print) => asBytes(print(record))), lineEnd]);
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
    ...headersOf(record.headers),
    timestamp: record.timestamp.toISOString(),
    attempt: record.attempt,
  });
}

/** Headers with texts, and under another name those with bytes that are none. */
function headersOf(headers: PrintableRecord["headers"]): {
  readonly headers: Record<string, string>;
  readonly headersBase64?: Record<string, string>;
} {
  const texts: [string, string][] = [];
  const others: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    const found = decoded(value);
    if (found.text === undefined) others.push([name, found.base64]);
    else texts.push([name, found.text]);
  }
  const found = { headers: Object.fromEntries(texts) };
  return others.length === 0 ? found : { ...found, headersBase64: Object.fromEntries(others) };
}

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOrBase64(name: string, value: string | Uint8Array): Record<string, string> {
  const found = decoded(value);
  return found.text === undefined ? { [`${name}Base64`]: found.base64 } : { [name]: found.text };
}

function decoded(value: string | Uint8Array): { text: string } | { text: undefined; base64: string } {
  if (typeof value === "string") return { text: value };
  try {
    return { text: strictDecoder.decode(value) };
  } catch {
    // Not UTF-8: the bytes themselves, so that nothing is lost.
    return { text: undefined, base64: Buffer.from(value).toString("base64") };
  }
}

function asBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? Buffer.from(value) : value;
}
