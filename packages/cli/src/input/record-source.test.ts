import { Readable } from "node:stream";
import { limits } from "@gmq/protocol";
import { describe, expect, it } from "vitest";
import { type InputRecord, type RecordFormat, recordsFromArguments, recordsFromStream } from "./record-source.js";

const never = new AbortController().signal;

async function read(input: string, format: RecordFormat): Promise<InputRecord[]> {
  const records: InputRecord[] = [];
  for await (const block of recordsFromStream(Readable.from([Buffer.from(input)]), format, never))
    records.push(...block);
  return records;
}

describe("recordsFromStream", () => {
  it("takes each line as a value and skips empty ones", async () => {
    expect(await read("a\n\nb\n", { format: "lines" })).toEqual([
      { line: 1, ok: true, key: undefined, value: "a" },
      { line: 3, ok: true, key: undefined, value: "b" },
    ]);
  });

  it("keys ndjson by a field and keeps the line as it stands", async () => {
    expect(await read('{"id": 7}\n{"id":"x" }\n', { format: "ndjson", keyField: "id" })).toEqual([
      { line: 1, ok: true, key: "7", value: '{"id": 7}' },
      { line: 2, ok: true, key: "x", value: '{"id":"x" }' },
    ]);
  });

  it("names the line and the field of what it cannot use", async () => {
    const records = await read('{"id":1}\n{"id"\n{"id":null}\n[]\n{"id":2}\n', { format: "ndjson", keyField: "id" });
    expect(records.map(({ line, ok }) => [line, ok])).toEqual([
      [1, true],
      [2, false],
      [3, false],
      [4, false],
      [5, true],
    ]);
    expect(records[1]).toMatchObject({ error: { code: "invalid_argument", field: "value" } });
    expect(records[2]).toMatchObject({ error: { code: "invalid_argument", field: "id" } });
  });

  it("takes a raw input as one value, bytes unchanged", async () => {
    const [record] = await read("a\r\n\0b", { format: "raw" });
    expect(record).toMatchObject({ line: 1, ok: true, value: Buffer.from("a\r\n\0b") });
  });

  it("refuses a raw input and a line over the record limit", async () => {
    const large = "x".repeat(limits.recordBytesMax + 1);
    for (const format of ["raw", "lines"] as const) {
      expect(await read(large, { format })).toMatchObject([
        { line: 1, ok: false, error: { code: "record_too_large", limit: `${limits.recordBytesMax} bytes` } },
      ]);
    }
  });
});

describe("recordsFromArguments", () => {
  it("numbers arguments as lines", async () => {
    for await (const block of recordsFromArguments(["a", ""], { format: "lines" })) {
      expect(block).toMatchObject([
        { line: 1, value: "a" },
        { line: 2, value: "" },
      ]);
    }
  });
});
