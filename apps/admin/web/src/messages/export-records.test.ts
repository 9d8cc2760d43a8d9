import { create } from "@bufbuild/protobuf";
import { PortalRecordSchema } from "@gmq/protocol/messages";
import { expect, it, vi } from "vitest";

// The module's client wants the address of a page.
vi.stubGlobal("location", { origin: "http://localhost" });
const { csvOf, ndjsonOf } = await import("./export-records.js");

const utf8 = new TextEncoder();
const record = create(PortalRecordSchema, {
  partition: 2,
  offset: 9007199254740993n,
  key: utf8.encode('a,"b"'),
  value: Uint8Array.from([0xff, 0x00]),
  headers: [{ key: "h", value: utf8.encode("1\n2") }],
});

it("writes CSV with quotes where RFC 4180 wants them, exact offsets and base64 for bytes", () => {
  expect(csvOf("t", record)).toBe(
    't,2,9007199254740993,0,0,"a,""b""",utf8,/wA=,base64,"[{""key"":""h"",""value"":""1\\n2"",""encoding"":""utf8""}]"\r\n',
  );
});

it("writes one line of JSON, with null for no key", () => {
  const line = ndjsonOf("t", { ...record, key: undefined });
  expect(line.endsWith("\n")).toBe(true);
  expect(JSON.parse(line)).toMatchObject({
    offset: "9007199254740993",
    key: null,
    value: "/wA=",
    valueEncoding: "base64",
  });
});
