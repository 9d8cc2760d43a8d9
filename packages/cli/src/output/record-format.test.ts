import { describe, expect, it } from "vitest";
import { type PrintableRecord, parseRecordFormat } from "./record-format.js";

const record: PrintableRecord = {
  topic: "orders",
  partition: 2,
  offset: 9_007_199_254_740_993n,
  key: "k",
  value: Buffer.from('{"id":1}'),
  headers: { source: "web" },
  timestamp: new Date("2026-11-24T08:00:00Z"),
  attempt: 1,
};

const lineOf = (format: string, printed: PrintableRecord = record): string =>
  Buffer.from(parseRecordFormat(format)(printed)).toString();

describe("parseRecordFormat", () => {
  it("prints the value alone", () => {
    expect(lineOf("value")).toBe('{"id":1}\n');
  });

  it("prints JSON with the offset as text", () => {
    expect(JSON.parse(lineOf("json"))).toEqual({
      topic: "orders",
      partition: 2,
      offset: "9007199254740993",
      key: "k",
      value: '{"id":1}',
      headers: { source: "web" },
      timestamp: "2026-11-24T08:00:00.000Z",
      attempt: 1,
    });
  });

  it("keeps bytes that are no text as base64, and leaves an absent key out", () => {
    const printed = JSON.parse(lineOf("json", { ...record, key: undefined, value: Buffer.from([0xff, 0x00]) }));
    expect(printed).toMatchObject({ valueBase64: "/wA=" });
    expect(printed).not.toHaveProperty("key");
    expect(printed).not.toHaveProperty("value");
  });

  it("prints bytes that are no text as they are, alone and in a template", () => {
    const bytes = Buffer.from([0xff, 0x0a, 0x00, 0xc3]);
    const printed = { ...record, key: bytes, value: bytes };
    expect(parseRecordFormat("value")(printed)).toEqual(Buffer.concat([bytes, Buffer.from("\n")]));
    expect(parseRecordFormat("{key}={value}")(printed)).toEqual(
      Buffer.concat([bytes, Buffer.from("="), bytes, Buffer.from("\n")]),
    );
  });

  it("keeps headers that are no text as base64, apart from the others", () => {
    const headers = { source: "web", trace: Buffer.from([0xff, 0x00]) };
    expect(JSON.parse(lineOf("json", { ...record, headers }))).toMatchObject({
      headers: { source: "web" },
      headersBase64: { trace: "/wA=" },
    });
  });

  it("fills a template", () => {
    expect(lineOf("{topic}/{partition}@{offset}\\t{key}={value}")).toBe('orders/2@9007199254740993\tk={"id":1}\n');
  });

  it("refuses unknown placeholders and texts without any", () => {
    expect(() => parseRecordFormat("{nope}")).toThrow(/unknown \{nope\}/);
    expect(() => parseRecordFormat("{toString}")).toThrow(/unknown/);
    expect(() => parseRecordFormat("valeu")).toThrow(/expected value, json, or a template/);
  });
});
