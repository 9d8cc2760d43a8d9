/** Records as files. Texts stay texts, other bytes become base64 and are marked so; 64-bit numbers are texts, as protobuf's JSON has them. Pure. */
import { ExportFormat, type PortalRecord } from "@gmq/protocol/messages";
import { encode } from "@msgpack/msgpack";

/** How a file begins, goes on and ends. */
export interface RecordWriter {
  readonly extension: string;
  readonly begin: Uint8Array;
  record(topic: string, record: PortalRecord, isFirst: boolean): Uint8Array;
  readonly end: Uint8Array;
}

const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true });
const nothing = new Uint8Array();

/** The writer of a format; undefined: no such format. */
export function writerOf(format: ExportFormat): RecordWriter | undefined {
  return writers[format];
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

const writers: Readonly<Partial<Record<ExportFormat, RecordWriter>>> = {
  [ExportFormat.NDJSON]: {
    extension: "ndjson",
    begin: nothing,
    record: (topic, record) => utf8.encode(`${JSON.stringify(jsonOf(topic, record))}\n`),
    end: nothing,
  },
  [ExportFormat.CSV]: {
    extension: "csv",
    begin: utf8.encode(csvLine(csvHeader)),
    record: (topic, record) => utf8.encode(csvOf(topic, record)),
    end: nothing,
  },
  [ExportFormat.JSON]: {
    extension: "json",
    begin: utf8.encode("[\n"),
    record: (topic, record, isFirst) => utf8.encode(`${isFirst ? "" : ",\n"}${JSON.stringify(jsonOf(topic, record))}`),
    end: utf8.encode("\n]\n"),
  },
  [ExportFormat.MESSAGE_PACK]: {
    extension: "msgpack",
    // A stream of maps: how many there are is known only at the end.
    begin: nothing,
    record: (topic, { partition, offset, appendTimeMs, timestampMs, key, value, headers }) =>
      encode(
        {
          topic,
          partition,
          offset,
          appendTimeMs,
          timestampMs,
          key: key ?? null,
          value,
          headers: headers.map((header) => [header.key, header.value]),
        },
        { useBigInt64: true },
      ),
    end: nothing,
  },
};

/** RFC 4180: CRLF, and quotes around whatever holds a comma, a quote or a line break. An absent key has no encoding. */
function csvOf(topic: string, record: PortalRecord): string {
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

function jsonOf(topic: string, record: PortalRecord) {
  const [value, valueEncoding] = encoded(record.value);
  const key = record.key === undefined ? null : encoded(record.key);
  return {
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
  };
}

function headersOf(record: PortalRecord) {
  return record.headers.map(({ key, value }) => {
    const [text, encoding] = encoded(value);
    return { key, value: text, encoding };
  });
}

/** A line of RFC 4180. */
export function csvLine(fields: readonly string[]): string {
  return `${fields.map((field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",")}\r\n`;
}

function encoded(bytes: Uint8Array): [text: string, encoding: "utf8" | "base64"] {
  try {
    return [strict.decode(bytes), "utf8"];
  } catch {
    return [Buffer.from(bytes).toString("base64"), "base64"];
  }
}
