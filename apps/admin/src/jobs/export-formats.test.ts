import { create } from "@bufbuild/protobuf";
import { ExportFormat, PortalRecordSchema } from "@gmq/protocol/messages";
import { decode } from "@msgpack/msgpack";
import { expect, it } from "vitest";
import { writerOf } from "./export-formats.js";

const utf8 = new TextEncoder();
const record = create(PortalRecordSchema, {
  partition: 2,
  offset: 9007199254740993n,
  key: utf8.encode('a,"b"'),
  value: Uint8Array.from([0xff, 0x00]),
  headers: [{ key: "h", value: utf8.encode("1\n2") }],
});
const written = (format: ExportFormat, one = record): string =>
  Buffer.from(writerOf(format)?.record("t", one, true) ?? []).toString();

it("writes CSV with quotes where RFC 4180 wants them, exact offsets and base64 for bytes", () => {
  expect(written(ExportFormat.CSV)).toBe(
    't,2,9007199254740993,0,0,"a,""b""",utf8,/wA=,base64,"[{""key"":""h"",""value"":""1\\n2"",""encoding"":""utf8""}]"\r\n',
  );
});

it("writes one line of JSON, with null for no key", () => {
  const line = written(ExportFormat.NDJSON, { ...record, key: undefined });
  expect(line.endsWith("\n")).toBe(true);
  expect(JSON.parse(line)).toMatchObject({
    offset: "9007199254740993",
    key: null,
    value: "/wA=",
    valueEncoding: "base64",
  });
});

it("writes a JSON array that is one, and MessagePack that keeps bytes and digits", () => {
  const writer = writerOf(ExportFormat.JSON);
  const parts = [writer?.begin, writer?.record("t", record, true), writer?.record("t", record, false), writer?.end];
  expect(JSON.parse(parts.map((part) => Buffer.from(part ?? []).toString()).join(""))).toHaveLength(2);
  const packed = writerOf(ExportFormat.MESSAGE_PACK)?.record("t", record, true) ?? new Uint8Array();
  expect(decode(packed, { useBigInt64: true })).toMatchObject({ offset: 9007199254740993n, value: record.value });
});
