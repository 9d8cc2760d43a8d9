import { describe, expect, it } from "vitest";
import { readLines } from "./record-lines.js";

const utf8 = new TextEncoder();
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
const read = (...lines: readonly string[]): ReturnType<typeof readLines> => readLines(utf8.encode(lines.join("\n")));

describe("lines", () => {
  it("are records with key, value, headers and partition; empty ones are passed over and keep the count", () => {
    const { records, faults } = read(
      '{"key":"k","value":"v","headers":{"h":"1"},"partition":2}',
      "",
      '{"value":""}\r',
      "",
    );
    expect(faults).toEqual([]);
    expect(records.map(({ line, key, value, partition }) => [line, key && text(key), text(value), partition])).toEqual([
      [1, "k", "v", 2],
      [3, undefined, "", undefined],
    ]);
    expect(records[0]?.headers.map(({ key, value }) => [key, text(value)])).toEqual([["h", "1"]]);
  });

  it("carry bytes as base64, and names of headers that repeat", () => {
    const headers = [
      { key: "h", value: "/wA=", encoding: "base64" },
      { key: "h", value: "2" },
    ];
    const [record] = read(JSON.stringify({ value: "/wA=", valueEncoding: "base64", headers })).records;
    expect(record?.value).toEqual(Uint8Array.from([0xff, 0]));
    expect(record?.headers.map(({ value }) => [...value])).toEqual([[0xff, 0], [50]]);
  });

  it("of an export say where a record was, not where it goes", () => {
    const [record] = read(
      '{"topic":"t","partition":5,"offset":"7","key":null,"value":"v","valueEncoding":"utf8"}',
    ).records;
    expect(record?.partition).toBeUndefined();
    expect(record?.key).toBeUndefined();
  });

  it("that are bad are named one by one, whatever is wrong", () => {
    const bytes = utf8.encode(
      [
        '{"value":1}',
        "no json",
        '{"value":"ok"}',
        '{"value":"!","valueEncoding":"base64"}',
        '{"partition":1}',
        "[]",
      ].join("\n"),
    );
    const { records, faults } = readLines(Uint8Array.from([...bytes, 10, 0xff, 0xfe]));
    expect(records.map(({ line }) => line)).toEqual([3]);
    expect(faults.map(({ line }) => line)).toEqual([1, 2, 4, 5, 6, 7]);
    expect(faults[0]?.problem).toMatch(/^value: a text is expected/);
    expect(faults[2]?.problem).toBe("value: no base64");
    expect(faults[5]?.problem).toBe("no UTF-8");
  });
});
