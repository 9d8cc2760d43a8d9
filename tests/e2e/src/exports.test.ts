import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";

const packages = [
  "broker",
  "cli",
  "client",
  "log",
  "metrics",
  "nestjs",
  "otel",
  "protocol",
  "service",
  "storage",
  "transport",
];

test.each(packages)("@gmq/%s: every declared entry can be imported", async (name) => {
  const manifest = JSON.parse(
    await readFile(new URL(`../../../packages/${name}/package.json`, import.meta.url), "utf8"),
  );
  expect(manifest.exports["."]).toBeDefined();
  for (const [entry, target] of Object.entries<string | { default: string }>(manifest.exports)) {
    if (typeof target === "string") continue;
    const module = await import(new URL(`../../../packages/${name}/${target.default}`, import.meta.url).href);
    expect(module, entry).toBeDefined();
  }
});
