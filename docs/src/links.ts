/** Where links of the pages lead on the site. */
import { readFileSync } from "node:fs";
import { join, normalize } from "node:path";

/** Folders below docs/ that hold no pages of ours. */
const otherFolders = ["node_modules/", ".vitepress/", "api/", "src/", "portal/"];

/** Whether a path below docs/ is, or may lead to, a page that is written by hand. */
export function isPage(path: string): boolean {
  return !otherFolders.some((folder) => normalize(path).startsWith(folder));
}

/** Where the sources are; of the packages' own manifests. */
export const repositoryUrl = readRepositoryUrl();

function readRepositoryUrl(): string {
  const manifest = new URL("../../packages/client/package.json", import.meta.url);
  const { repository } = JSON.parse(readFileSync(manifest, "utf8")) as {
    readonly repository: { readonly url: string };
  };
  return repository.url.replace(/^git\+/, "").replace(/\.git$/, "");
}

/** Links that leave docs/ (`../ARCHITECTURE.md`, `../tests/…`) become links to the repository; the rest stays as it is. */
export function resolveLink(docs: string, page: string, href: string): string {
  if (/^[a-z]+:|^[#/]/i.test(href)) return href;
  const [path = "", hash] = href.split("#");
  const target = normalize(join(page, "..", decodeURI(path)));
  if (!target.startsWith("..")) return href;
  const inRepository = normalize(join("docs", target));
  if (inRepository.startsWith("..")) throw new Error(`${page} in ${docs} links to ${href}, outside of the repository`);
  return `${repositoryUrl}/blob/main/${inRepository}${hash === undefined ? "" : `#${hash}`}`;
}
