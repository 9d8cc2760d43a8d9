import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "./sources.js";

it("walks the flows over files that are there", () => {
  const named = readFileSync(join(root, "docs/flows.md"), "utf8").matchAll(/\b[a-z-]+\/src\/[\w./-]+\.(?:ts|lua)\b/g);
  const paths = Array.from(named, ([path]) => path);
  expect(paths.length).toBeGreaterThan(10);
  expect(paths.filter((path) => !existsSync(join(root, "packages", path)))).toEqual([]);
});
