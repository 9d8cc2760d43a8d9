import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitepress";
import { isPage, repositoryUrl, resolveLink } from "../src/links.ts";

const docs = join(dirname(fileURLToPath(import.meta.url)), "..");

interface Item {
  readonly text: string;
  readonly link: string;
}

/** Pages in the order in which they are read; what is not named here, and is there, comes under "More". */
const sections = [
  { text: "Begin", pages: ["index", "concepts", "guarantees", "exactly-once"] },
  {
    text: "Guides",
    pages: ["guides/from-bullmq", "guides/from-redis-streams", "guides/from-kafkajs", "guides/nestjs"],
  },
  { text: "Run it", pages: ["operations", "redis", "scaling", "security", "metrics", "portal"] },
  { text: "Look up", pages: ["errors", "flows", "performance", "found-bugs"] },
] as const;

function pagesIn(folder: string): string[] {
  return readdirSync(join(docs, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return isPage(`${path}/`) ? pagesIn(path) : [];
    return entry.name.endsWith(".md") ? [path.slice(0, -".md".length)] : [];
  });
}

function itemOf(page: string): Item {
  const title = /^# (.+)$/m.exec(readFileSync(join(docs, `${page}.md`), "utf8"))?.[1] ?? page;
  return { text: page === "index" ? "What GMQ is" : title, link: `/${page === "index" ? "" : page}` };
}

const pages = pagesIn(".");
const named = new Set<string>(sections.flatMap((section) => section.pages));
const sidebar = [
  ...sections.map(({ text, pages: wanted }) => ({
    text,
    items: wanted.filter((page) => pages.includes(page)).map(itemOf),
  })),
  { text: "More", items: pages.filter((page) => !named.has(page)).map(itemOf) },
  { text: "API", items: [{ text: "Packages", link: "/api/" }] },
].filter(({ items }) => items.length > 0);

export default defineConfig({
  title: "GMQ",
  description: "A message queue for Node teams that already run Redis",
  lang: "en",
  // No picture; without this line browsers ask for /favicon.ico.
  head: [["link", { rel: "icon", href: "data:," }]],
  cleanUrls: false,
  lastUpdated: false,
  srcExclude: ["node_modules/**", "src/**"],
  // A link that leads nowhere ends the build. Links to files outside of docs/ become links to the repository first.
  ignoreDeadLinks: false,
  markdown: {
    config(md) {
      md.core.ruler.push("repository-links", (state) => {
        const path: string = state.env.path;
        for (const token of state.tokens.flatMap(({ children }) => children ?? [])) {
          const href = token.attrGet("href");
          if (token.type === "link_open" && href !== null) {
            token.attrSet("href", resolveLink(docs, relative(docs, path), href));
          }
        }
      });
    },
  },
  vite: { build: { chunkSizeWarningLimit: 2_000 } },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Concepts", link: "/concepts" },
      { text: "Guarantees", link: "/guarantees" },
      { text: "Operations", link: "/operations" },
      { text: "API", link: "/api/" },
    ],
    sidebar,
    socialLinks: [],
    docFooter: { prev: "Before", next: "Next" },
    externalLinkIcon: true,
    footer: { message: `<a href="${repositoryUrl}">Source</a>. MIT licence.` },
  },
});
