import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "./sources.js";

it("docs/operations.md explains every answer of `gmq groups explain`, and no other", () => {
  const source = readFileSync(join(root, "packages/broker/src/explain-group.ts"), "utf8");
  const codes = new Set(Array.from(source.matchAll(/\bcode: "([a-z_]+)"/g), ([, code]) => code));
  const page = readFileSync(join(root, "docs/operations.md"), "utf8");
  const table = page.slice(page.indexOf("| `explain` says"), page.indexOf("| error at the client"));
  const explained = Array.from(table.matchAll(/^\| `([a-z_]+)` \|/gm), ([, code]) => code);
  expect(codes.size).toBeGreaterThan(10);
  expect(explained.toSorted()).toEqual([...codes].toSorted());
});
