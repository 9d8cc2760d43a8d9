import { globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { documented } from "./api-reference.ts";
import { checkSite } from "./check-site.ts";
import { isPage, repositoryUrl, resolveLink } from "./links.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gmq-site-"));
  await mkdir(join(folder, "api"));
  await writeFile(
    join(folder, "index.html"),
    `<h2 id="one"></h2><a href="#one"></a><a href="/api/"></a><a href="./api/index.html#two"></a><a href="https://example.org/"></a>
     <a href="/missing.html"></a><a href="#three"></a><a href="api/index.html#four"></a>
     <script src="https://example.org/a.js"></script><link rel="stylesheet" href="//example.org/b.css"><img src="/c.png">`,
  );
  await writeFile(join(folder, "api/index.html"), `<h2 id="two"></h2><a href="../index.html"></a>`);
  await writeFile(join(folder, "style.css"), `@import "https://example.org/d.css"; p { background: url(/e.png) }`);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

it("names dead links, missing headings and what comes from other hosts, and nothing else", () => {
  const { pages, links, problems } = checkSite(folder);
  expect({ pages, links }).toEqual({ pages: 2, links: 7 });
  expect(problems).toEqual([
    "index.html: loads https://example.org/a.js from another host",
    "index.html: loads //example.org/b.css from another host",
    "index.html: /missing.html leads nowhere",
    "index.html: #three names a heading that is not there",
    "index.html: api/index.html#four names a heading that is not there",
    "style.css: loads https://example.org/d.css from another host",
  ]);
});

it("turns links that leave docs/ into links to the repository", () => {
  expect(resolveLink("/docs", "redis.md", "guarantees.md#told")).toBe("guarantees.md#told");
  expect(resolveLink("/docs", "guides/from-bullmq.md", "../redis.md")).toBe("../redis.md");
  expect(resolveLink("/docs", "guides/from-bullmq.md", "../../README.md#start")).toBe(
    `${repositoryUrl}/blob/main/README.md#start`,
  );
  expect(() => resolveLink("/docs", "redis.md", "../../secrets.md")).toThrow("outside of the repository");
});

it("takes for pages what people write", () => {
  expect(["guides/", "api/", "node_modules/", ".vitepress/"].filter(isPage)).toEqual(["guides/"]);
});

it("has an API reference of every package that a guide names", () => {
  const docs = join(import.meta.dirname, "..");
  const pages = globSync(join(docs, "guides/*.md"));
  const named = pages.flatMap((page) =>
    Array.from(readFileSync(page, "utf8").matchAll(/@gmq\/([a-z-]+)/g), ([, name]) => name ?? ""),
  );
  expect(named).toEqual(expect.arrayContaining(["client", "nestjs"]));
  expect([...new Set(named)].filter((name) => !documented.includes(name))).toEqual([]);
});
