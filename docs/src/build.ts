/**
 * Builds the docs site into docs/.vitepress/dist: the API reference from the packages' declarations, the pages by VitePress (which ends with an error at a
 * dead link), then a look at what came out. Needs built packages. Run by `make docs`.
 */
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vitepress";
import { writeApiReference } from "./api-reference.ts";
import { checkSite } from "./check-site.ts";

const docs = resolve(fileURLToPath(new URL("..", import.meta.url)));
const startedMs = performance.now();

await rm(join(docs, ".vitepress/dist"), { recursive: true, force: true });
const packages = await writeApiReference(docs);
await build(docs);
const { pages, links, problems } = checkSite(join(docs, ".vitepress/dist"));
for (const problem of problems) console.error(problem);
const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
console.log(
  `docs: ${pages} pages, ${links} links, API of ${packages} entry points, ${seconds} s: docs/.vitepress/dist`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
