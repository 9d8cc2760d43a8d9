/** The scripts that the Makefile, CI and other scripts name are there, and git would take them: one that a rule of .gitignore caught was missing in every other checkout. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "./sources.js";

const callers = ["Makefile", ".ci/run", ...readdirSync(join(root, "scripts")).map((name) => `scripts/${name}`)];

it("writes the client's version where the client says it", () => {
  const { version } = JSON.parse(readFileSync(join(root, "packages/client/package.json"), "utf8")) as {
    readonly version: string;
  };
  expect(readFileSync(join(root, "packages/client/src/client-version.ts"), "utf8")).toContain(
    `"@gmq/client ${version}"`,
  );
});

it("names no script that is not there, or that git does not take", () => {
  const named = callers.flatMap((caller) =>
    Array.from(readFileSync(join(root, caller), "utf8").matchAll(/(?<![\w/])scripts\/[\w.-]*\w/g), ([path]) => path),
  );
  const scripts = [...new Set([...named, ...callers])];
  expect(scripts.length).toBeGreaterThan(5);
  expect(scripts.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  const { stdout } = spawnSync("git", ["check-ignore", "--no-index", ...scripts], { cwd: root, encoding: "utf8" });
  expect(stdout).toBe("");
});
