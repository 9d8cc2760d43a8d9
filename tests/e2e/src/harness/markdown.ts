/** What stands in the repository's pages for people: code blocks, links, make targets. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./workspace.js";

/** A fenced block: "```ts producer" has the language ts and the tag producer. */
export interface CodeBlock {
  readonly language: string;
  readonly tag: string;
  readonly text: string;
}

/** Pages that people read, as paths from the root. */
export function pages(): string[] {
  const packages = readdirSync(join(root, "packages")).map((name) => join("packages", name));
  return [
    ...inFolder("."),
    ...below("docs"),
    ...inFolder("deploy"),
    ...inFolder("examples"),
    ...packages.flatMap(inFolder),
  ];
}

function inFolder(folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));
}

/** The same in every folder below; `docs/api` is generated from the packages' own comments. */
function below(folder: string): string[] {
  const folders = readdirSync(join(root, folder), { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !["node_modules", ".vitepress", "api"].includes(entry.name),
  );
  return [...inFolder(folder), ...folders.flatMap(({ name }) => below(join(folder, name)))];
}

/** Reads a page. */
export function readPage(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

/** The fenced blocks of a page, in order. */
export function codeBlocks(markdown: string): CodeBlock[] {
  return Array.from(markdown.matchAll(/^```([^\s`]*)[ \t]*([^\n]*)\n([\s\S]*?)^```$/gm), (match) => ({
    language: match[1] ?? "",
    tag: (match[2] ?? "").trim(),
    text: match[3] ?? "",
  }));
}

/** The command lines of a page's shell blocks: continued lines joined, comments cut. */
export function shellCommands(markdown: string): string[] {
  return codeBlocks(markdown)
    .filter(({ language }) => language === "sh")
    .flatMap(({ text }) => text.replaceAll(/\\\n\s*/g, "").split("\n"))
    .map((line) => line.replace(/\s+# .*$|^# .*$/, "").trim())
    .filter((line) => line !== "");
}

/** Where the relative links of a page lead, as paths from the root. */
export function relativeLinks(page: string): string[] {
  const text = readPage(page).replaceAll(/^```[\s\S]*?^```$/gm, "");
  return Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), (match) => (match[1] ?? "").replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target))
    .map((target) => join(dirname(page), target));
}

/** The make targets that a page names in shell blocks or code spans. */
export function makeTargets(markdown: string): string[] {
  const spans = Array.from(markdown.matchAll(/`([^`\n]+)`/g), (match) => match[1] ?? "");
  return [...spans, ...shellCommands(markdown)].flatMap((text) =>
    Array.from(text.matchAll(/^(?:[A-Z_]+=\S+ )*make((?: [a-z][a-z-]*)+)/g), (match) =>
      (match[1] ?? "").trim().split(" "),
    ).flat(),
  );
}
