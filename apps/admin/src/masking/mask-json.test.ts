import { expect, it } from "vitest";
import { maskJson } from "./mask-json.js";

const masked = (text: string, ...paths: string[]): string | undefined =>
  maskJson(
    text,
    paths.map((path) => path.split(".")),
  )?.text;

it("replaces fields by their path and leaves every other character as it is", () => {
  expect(masked(`{"id": 9007199254740993, "card" : {"number":"4111", "brand":"x"}}`, "card.number")).toBe(
    `{"id": 9007199254740993, "card" : {"number":"***", "brand":"x"}}`,
  );
  expect(masked(`{"card":{"number":"4111"},"n":1.10}`, "card")).toBe(`{"card":"***","n":1.10}`);
  expect(masked(`{"a":[1,{"b":2}],"b":null}`, "a", "b")).toBe(`{"a":"***","b":"***"}`);
  expect(masked(`{"a":1}`, "b")).toBe(`{"a":1}`);
});

it("takes the items of lists for where the list is", () => {
  expect(masked(`[{"a":1},{"a":"x","b":[{"a":2}]}]`, "a")).toBe(`[{"a":"***"},{"a":"***","b":[{"a":2}]}]`);
  expect(masked(`{"lines":[{"sku":1},[{"sku":2}]]}`, "lines.sku")).toBe(`{"lines":[{"sku":"***"},[{"sku":"***"}]]}`);
});

it("knows any name and any depth, escaped names and names that repeat", () => {
  expect(masked(`{"x":{"s":1},"y":{"s":2},"s":3}`, "*.s")).toBe(`{"x":{"s":"***"},"y":{"s":"***"},"s":3}`);
  expect(masked(`{"x":{"y":[{"s":1}]},"s":3}`, "**.s")).toBe(`{"x":{"y":[{"s":"***"}]},"s":"***"}`);
  expect(masked(`{"\\u0073":1,"s":2,"t":"\\"s\\":4"}`, "s")).toBe(`{"\\u0073":"***","s":"***","t":"\\"s\\":4"}`);
  expect(masked(`{"a":{"b":1},"c":2}`, "**")).toBe(`{"a":"***","c":"***"}`);
});

it("does not look through what is no JSON, or too deep", () => {
  for (const text of ["", "{", `{"a":1`, `{"a":1}}`, `{"a" 1}`, `{"a":nope}`, `{a:1}`, `{"a":1,}`, "[1 2]", "\u0000"])
    expect(maskJson(text, [["a"]]), text).toBeUndefined();
  expect(maskJson("[".repeat(100_000), [["a"]])).toBeUndefined();
  expect(maskJson(`${"[".repeat(400)}${"]".repeat(400)}`, [["a"]])?.masked).toBe(false);
});
