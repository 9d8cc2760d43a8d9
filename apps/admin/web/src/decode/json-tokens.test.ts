import { expect, it } from "vitest";
import { layOutJson } from "./json-tokens.js";

const laidOut = (source: string): string =>
  layOutJson(source)
    .map(({ text }) => text)
    .join("");

it("keeps every digit of a number", () => {
  expect(laidOut('{"id":9007199254740993,"price":1.10,"big":1e400}')).toBe(
    '{\n  "id": 9007199254740993,\n  "price": 1.10,\n  "big": 1e400\n}',
  );
});

it("keeps names that occur twice, empty containers and escapes", () => {
  expect(laidOut('{"a":1,"a":[],"b":{},"c":"\\"}{"}')).toBe('{\n  "a": 1,\n  "a": [],\n  "b": {},\n  "c": "\\"}{"\n}');
});

it("shows what is cut off as far as it goes", () => {
  expect(laidOut('{"a":[1,"un')).toBe('{\n  "a": [\n    1,\n    "un');
});
