import type { Readable } from "node:stream";
import { GmqError, limits } from "@gmq/protocol";
import { chunksOf, type Line, readLines } from "./lines.js";
import { recordOfLine, type SentRecord } from "./record-line.js";

/** How an input becomes records. */
export interface RecordFormat {
  /** `lines`: each line is a value. `ndjson`: each line is a JSON value and is stored as it stands. `records`: each line is a whole record, see `recordOfLine`. `raw`: the whole input is one value. */
  readonly format: InputFormat;
  /** ndjson: the top-level field whose value is the key. */
  readonly keyField?: string | undefined;
}

/** Names of the input formats. */
export const inputFormats = ["lines", "ndjson", "records", "raw"] as const;
export type InputFormat = (typeof inputFormats)[number];

/** What one line of an input gave: a value to publish, or why there is none. */
export type InputRecord =
  | ({ readonly line: number; readonly ok: true } & SentRecord)
  | { readonly line: number; readonly ok: false; readonly error: GmqError };

/** Values given as arguments, as one block of records. */
export async function* recordsFromArguments(
  values: readonly string[],
  format: RecordFormat,
): AsyncGenerator<InputRecord[]> {
  yield values.map((text, index) => toRecord({ number: index + 1, text, oversized: false }, format));
}

/** Records of a stream, in blocks, in order. Empty lines are skipped. Ends quietly when `signal` aborts. */
export async function* recordsFromStream(
  stream: Readable,
  format: RecordFormat,
  signal: AbortSignal,
): AsyncGenerator<InputRecord[]> {
  if (format.format === "raw") {
    yield [await readWhole(stream, signal)];
    return;
  }
  for await (const lines of readLines(stream, limits.recordBytesMax, signal)) {
    const records = lines.filter(({ text }) => text !== "").map((line) => toRecord(line, format));
    if (records.length > 0) yield records;
  }
}

async function readWhole(stream: Readable, signal: AbortSignal): Promise<InputRecord> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(stream, signal)) {
    bytes += chunk.byteLength;
    if (bytes > limits.recordBytesMax) return refused(1, tooLarge("the input"));
    chunks.push(chunk);
  }
  if (signal.aborted) return refused(1, new GmqError("cancelled", "interrupted before the end of the input"));
  return { line: 1, ok: true, key: undefined, value: Buffer.concat(chunks) };
}

function toRecord(line: Line, { format, keyField }: RecordFormat): InputRecord {
  if (line.oversized) return refused(line.number, tooLarge("the line"));
  if (format !== "ndjson" && format !== "records")
    return { line: line.number, ok: true, key: undefined, value: line.text };
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return refused(line.number, new GmqError("invalid_argument", `not JSON: ${reason}`, { field: "value", cause }));
  }
  if (format === "records") return wholeRecord(line.number, value);
  if (keyField === undefined) return { line: line.number, ok: true, key: undefined, value: line.text };
  const key = keyOf(value, keyField);
  if (key !== undefined) return { line: line.number, ok: true, key, value: line.text };
  const message = `no text, number or boolean in field ${JSON.stringify(keyField)} to use as the key`;
  return refused(line.number, new GmqError("invalid_argument", message, { field: keyField }));
}

function wholeRecord(line: number, value: unknown): InputRecord {
  try {
    return { line, ok: true, ...recordOfLine(value) };
  } catch (error) {
    return refused(line, GmqError.from(error));
  }
}

function keyOf(value: unknown, field: string): string | undefined {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, field)) return undefined;
  const key = (value as Record<string, unknown>)[field];
  return typeof key === "string" || typeof key === "number" || typeof key === "boolean" ? String(key) : undefined;
}

function tooLarge(what: string): GmqError {
  const limit = `${limits.recordBytesMax} bytes`;
  return new GmqError("record_too_large", `${what} is longer than ${limit}`, { field: "value", limit });
}

function refused(line: number, error: GmqError): InputRecord {
  return { line, ok: false, error };
}
