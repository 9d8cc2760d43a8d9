import { expect, it } from "vitest";
import { recordOfLine } from "./record-line.js";

it("reads key, value, headers, partition and time", () => {
  const line = { key: "k", value: "{}", headers: { source: "file" }, partition: 2, timestampMs: "1700000000000" };
  expect(recordOfLine(line)).toEqual({
    key: "k",
    value: "{}",
    headers: { source: "file" },
    partition: 2,
    timestamp: 1_700_000_000_000,
  });
  expect(recordOfLine({ value: "" })).toEqual({ key: undefined, value: "", headers: {} });
});

it("reads what an export wrote, wherever it was", () => {
  const exported = {
    topic: "t",
    partition: 5,
    offset: "7",
    appendTimeMs: "2",
    timestampMs: "1",
    key: null,
    value: "AP8=",
    valueEncoding: "base64",
    headers: [{ key: "h", value: "/w==", encoding: "base64" }],
  };
  expect(recordOfLine(exported)).toEqual({
    key: undefined,
    value: Buffer.from([0, 255]),
    headers: { h: Buffer.from([255]) },
  });
});

it.each([
  [[], "value"],
  [{}, "value"],
  [{ value: { a: 1 } }, "value"],
  [{ value: "x", key: 7 }, "key"],
  [{ value: "?", valueEncoding: "base64" }, "value"],
  [{ value: "x", valueEncoding: "hex" }, "value"],
  [{ value: "x", partition: -1 }, "partition"],
  [{ value: "x", partition: 1.5 }, "partition"],
  [{ value: "x", timestampMs: "soon" }, "timestampMs"],
  [{ value: "x", headers: "a=b" }, "headers"],
  [{ value: "x", headers: [null] }, "headers"],
  [{ value: "x", headers: { a: 1 } }, "headers.a"],
  [
    {
      value: "x",
      headers: [
        { key: "a", value: "1" },
        { key: "a", value: "2" },
      ],
    },
    "headers",
  ],
])("refuses %j by its field", (line, field) => {
  expect(() => recordOfLine(line)).toThrow(expect.objectContaining({ code: "invalid_argument", field }));
});
