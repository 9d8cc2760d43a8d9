import type { PortalRecord } from "@gmq/protocol/messages";
import { textOf } from "../decode/decoders.js";
import { portal } from "../rpc.js";
import { type MessagesSearch, searchRequestOf } from "./scan-query.js";

export type ExportFormat = "ndjson" | "csv";

/** How far an export is. */
export interface ExportProgress {
  readonly records: number;
  readonly scanned: number;
  readonly complete: boolean;
}

const recordsAtOnce = 500;
const wholeValueBytes = 2 * 1024 * 1024;

/** Reads records whole, as the address says, and writes them down. Ends at `recordsMax`, or when nothing is left. @throws when the signal fires */
export async function exportRecords(
  topic: string,
  search: MessagesSearch,
  format: ExportFormat,
  recordsMax: number,
  onProgress: (progress: ExportProgress) => void,
  signal: AbortSignal,
): Promise<Blob> {
  const parts: string[] = format === "csv" ? [csvLine(csvHeader)] : [];
  const write = format === "csv" ? csvOf : ndjsonOf;
  let request = { ...searchRequestOf(topic, search, recordsAtOnce), valueBytesMax: wholeValueBytes };
  let records = 0;
  let scanned = 0;
  for (;;) {
    const answer = await portal.search(
      { ...request, limit: Math.min(recordsAtOnce, recordsMax - records) },
      { signal },
    );
    for (const record of answer.records) parts.push(write(topic, record));
    records += answer.records.length;
    scanned += Number(answer.scanned);
    onProgress({ records, scanned, complete: answer.complete });
    if (answer.complete || records >= recordsMax) break;
    request = { ...request, cursors: answer.cursors };
  }
  return new Blob(parts, { type: format === "csv" ? "text/csv" : "application/x-ndjson" });
}

const csvHeader = [
  "topic",
  "partition",
  "offset",
  "append_time_ms",
  "timestamp_ms",
  "key",
  "key_encoding",
  "value",
  "value_encoding",
  "headers",
];

/** RFC 4180: CRLF, and quotes around whatever holds a comma, a quote or a line break. An absent key has no encoding. */
export function csvOf(topic: string, record: PortalRecord): string {
  const [key, keyEncoding] = record.key === undefined ? ["", ""] : encoded(record.key);
  const [value, valueEncoding] = encoded(record.value);
  return csvLine([
    topic,
    String(record.partition),
    String(record.offset),
    String(record.appendTimeMs),
    String(record.timestampMs),
    key,
    keyEncoding,
    value,
    valueEncoding,
    JSON.stringify(headersOf(record)),
  ]);
}

/** One line of JSON; 64-bit numbers are texts, as protobuf's JSON has them. */
export function ndjsonOf(topic: string, record: PortalRecord): string {
  const [value, valueEncoding] = encoded(record.value);
  const key = record.key === undefined ? null : encoded(record.key);
  return `${JSON.stringify({
    topic,
    partition: record.partition,
    offset: String(record.offset),
    appendTimeMs: String(record.appendTimeMs),
    timestampMs: String(record.timestampMs),
    key: key?.[0] ?? null,
    ...(key === null ? {} : { keyEncoding: key[1] }),
    value,
    valueEncoding,
    headers: headersOf(record),
  })}\n`;
}

function headersOf(record: PortalRecord) {
  return record.headers.map(({ key, value }) => {
    const [text, encoding] = encoded(value);
    return { key, value: text, encoding };
  });
}

function csvLine(fields: readonly string[]): string {
  return `${fields.map((field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",")}\r\n`;
}

function encoded(bytes: Uint8Array): [text: string, encoding: "utf8" | "base64"] {
  const text = textOf(bytes);
  return text === undefined ? [bytesToBase64(bytes), "base64"] : [text, "utf8"];
}

function bytesToBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
