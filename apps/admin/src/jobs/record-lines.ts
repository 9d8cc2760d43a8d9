/** Lines of a file as records to be produced. Pure. */
import { limits } from "@gmq/protocol";
import { z } from "zod";

/** A record as its line says. */
export interface LineRecord {
  /** From 1. */
  readonly line: number;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array;
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array }[];
  readonly partition: number | undefined;
}

/** What is wrong with a line. */
export interface LineFault {
  readonly line: number;
  readonly problem: string;
}

export const linesBytesMax = 7 * 1024 * 1024;
export const linesMax = 20_000;

const encoding = z.enum(["utf8", "base64"]).default("utf8");
const header = z.strictObject({ key: z.string().min(1), value: z.string(), encoding });
const line = z.object({
  key: z.string().nullish(),
  keyEncoding: encoding,
  value: z.string({ error: "a text is expected; JSON goes into it as text, other bytes as base64" }),
  valueEncoding: encoding,
  headers: z.union([z.record(z.string(), z.string()), z.array(header)]).default({}),
  partition: z
    .int()
    .min(0)
    .max(limits.partitionsMax - 1)
    .optional(),
});

/** Reads all lines; empty ones are passed over. What an export has written is read back: its offsets and times are passed over, and its partitions, as a rule the key says. */
export function readLines(bytes: Uint8Array): {
  readonly records: readonly LineRecord[];
  readonly faults: readonly LineFault[];
} {
  const records: LineRecord[] = [];
  const faults: LineFault[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  splitLines(bytes).forEach((raw, index) => {
    const number = index + 1;
    try {
      const text = decoder.decode(raw).trim();
      if (text === "") return;
      const parsed = line.safeParse(JSON.parse(text));
      if (!parsed.success) {
        const [issue] = parsed.error.issues;
        faults.push({ line: number, problem: `${issue?.path.join(".") || "the line"}: ${issue?.message}` });
        return;
      }
      records.push(recordOf(number, parsed.data, text));
    } catch (error) {
      faults.push({
        line: number,
        problem: error instanceof TypeError ? "no UTF-8" : error instanceof Error ? error.message : String(error),
      });
    }
  });
  return { records, faults };
}

function recordOf(number: number, data: z.infer<typeof line>, text: string): LineRecord {
  const { key, keyEncoding, value, valueEncoding, headers, partition } = data;
  const bytes = bytesOf(value, valueEncoding, "value");
  if (bytes.length > limits.recordBytesMax)
    throw new Error(`value: ${bytes.length} bytes, at most ${limits.recordBytesMax}`);
  const listed = Array.isArray(headers)
    ? headers.map((one) => ({ key: one.key, value: bytesOf(one.value, one.encoding, `header ${one.key}`) }))
    : Object.entries(headers).map(([name, told]) => ({ key: name, value: bytesOf(told, "utf8", name) }));
  if (listed.length > limits.headersMax) throw new Error(`headers: ${listed.length}, at most ${limits.headersMax}`);
  // A line of an export says where the record was, not where it shall go.
  const wasExported = Object.hasOwn(JSON.parse(text) as object, "offset");
  return {
    line: number,
    key: key === null || key === undefined ? undefined : bytesOf(key, keyEncoding, "key"),
    value: bytes,
    headers: listed,
    partition: wasExported ? undefined : partition,
  };
}

function bytesOf(text: string, how: "utf8" | "base64", field: string): Uint8Array {
  if (how === "utf8") return new TextEncoder().encode(text);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error(`${field}: no base64`);
  return Uint8Array.from(Buffer.from(text, "base64"));
}

function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let from = 0;
  while (from <= bytes.length) {
    const at = bytes.indexOf(10, from);
    const end = at < 0 ? bytes.length : at;
    lines.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return lines;
}
