/** A line of `--format records` as a record: what the portal's export writes as NDJSON, and its form for files takes. Pure. */
import { GmqError, limits } from "@gmq/protocol";

/** What is sent of a line. */
export interface SentRecord {
  readonly key: string | Uint8Array | undefined;
  readonly value: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string | Uint8Array>>;
  readonly partition?: number;
  /** Milliseconds since the epoch. */
  readonly timestamp?: number;
}

/**
 * Reads `{"key", "keyEncoding", "value", "valueEncoding", "headers", "partition", "timestampMs"}`; all but `value` may be absent, an encoding is `utf8` or `base64`,
 * and headers are an object or a list of `{"key", "value", "encoding"}`. A line with an `offset` comes from an export: its partition and time tell of the record that was, and are passed over.
 * @throws GmqError `invalid_argument` naming the field
 */
export function recordOfLine(line: unknown): SentRecord {
  if (typeof line !== "object" || line === null || Array.isArray(line)) throw wrong("value", "the line", "an object");
  const { key, keyEncoding, value, valueEncoding, headers, partition, timestampMs, offset } = line as Readonly<
    Record<string, unknown>
  >;
  const wasExported = offset !== undefined;
  return {
    key: key === undefined || key === null ? undefined : contentOf("key", key, keyEncoding),
    value: contentOf("value", value, valueEncoding),
    headers: headersOf(headers),
    ...(partition === undefined || wasExported
      ? {}
      : { partition: wholeOf("partition", partition, limits.partitionsMax - 1) }),
    ...(timestampMs === undefined || wasExported
      ? {}
      : { timestamp: wholeOf("timestampMs", timestampMs, Number.MAX_SAFE_INTEGER) }),
  };
}

function headersOf(headers: unknown): Record<string, string | Uint8Array> {
  if (headers === undefined || headers === null) return {};
  if (typeof headers !== "object") throw wrong("headers", "headers", "an object or a list");
  const listed = Array.isArray(headers)
    ? headers.map((one: unknown) => headerOf(one))
    : Object.entries(headers).map(([name, text]) => [name, contentOf(`headers.${name}`, text, "utf8")] as const);
  const names = new Set<string>();
  for (const [name] of listed) {
    if (names.has(name)) throw wrong("headers", `header ${name}`, "there once: the command line sends each name once");
    names.add(name);
  }
  return Object.fromEntries(listed);
}

function headerOf(one: unknown): readonly [string, string | Uint8Array] {
  const { key, value, encoding } = (one ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof key !== "string" || key === "") throw wrong("headers", "a header's key", "a text");
  return [key, contentOf(`headers.${key}`, value, encoding)];
}

function contentOf(field: string, text: unknown, encoding: unknown): string | Uint8Array {
  if (typeof text !== "string") throw wrong(field, field, "a text; JSON goes into it as text, other bytes as base64");
  if (encoding === undefined || encoding === "utf8") return text;
  if (encoding !== "base64") throw wrong(field, `the encoding of ${field}`, "utf8 or base64");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw wrong(field, field, "base64, as its encoding says");
  return Buffer.from(text, "base64");
}

/** A whole number, or its digits as a text, as 64-bit numbers are in JSON. */
function wholeOf(field: string, given: unknown, most: number): number {
  const value = typeof given === "string" && /^\d{1,16}$/.test(given) ? Number(given) : given;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
  throw wrong(field, field, `a whole number from 0 to ${most}`);
}

function wrong(field: string, what: string, expected: string): GmqError {
  return new GmqError("invalid_argument", `${what} has to be ${expected}`, { field });
}
