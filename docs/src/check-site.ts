/** A look at the built site: every link and anchor leads to something, and a page loads nothing from another host. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

interface SiteReport {
  readonly pages: number;
  readonly links: number;
  readonly problems: readonly string[];
}

/** What a browser loads by itself when it shows a page. */
const loading = /<(?:script|img|iframe|source|video|audio)\b[^>]*?\ssrc="([^"]+)"|<link\b[^>]*?\shref="([^"]+)"/g;

/** Checks the folder of a built site. */
export function checkSite(folder: string): SiteReport {
  const files = new Set(filesIn(folder).map((path) => relative(folder, path)));
  const pages = new Map(
    [...files].filter((path) => path.endsWith(".html")).map((path) => [path, readFileSync(join(folder, path), "utf8")]),
  );
  const anchors = new Map([...pages].map(([path, html]) => [path, idsOf(html)]));
  const problems: string[] = [];
  let links = 0;

  function check(page: string, href: string): void {
    links++;
    const [path = "", hash = ""] = href.split("#");
    const target = targetOf(page, path);
    if (!files.has(target)) problems.push(`${page}: ${href} leads nowhere`);
    else if (hash !== "" && anchors.get(target)?.has(decodeURIComponent(hash)) === false) {
      problems.push(`${page}: ${href} names a heading that is not there`);
    }
  }

  for (const [page, html] of pages) {
    for (const [, src, link] of html.matchAll(loading)) {
      const url = src ?? link ?? "";
      if (/^(?:[a-z]+:)?\/\//i.test(url)) problems.push(`${page}: loads ${url} from another host`);
    }
    // 404.html is shown at any address, so its links are of the site's root.
    if (page === "404.html") continue;
    for (const [, href = ""] of html.matchAll(/<a\b[^>]*?\shref="([^"]+)"/g)) {
      if (!/^[a-z]+:/i.test(href)) check(page, href.replaceAll("&amp;", "&"));
    }
  }
  for (const path of [...files].filter((file) => file.endsWith(".css"))) {
    for (const [, url = ""] of readFileSync(join(folder, path), "utf8").matchAll(/(?:url\(|@import )["']?([^"')]+)/g)) {
      if (/^(?:https?:)?\/\//i.test(url)) problems.push(`${path}: loads ${url} from another host`);
    }
  }
  return { pages: pages.size, links, problems };
}

function targetOf(page: string, path: string): string {
  if (path === "") return page;
  const full = path.startsWith("/") ? path.slice(1) : normalize(join(dirname(page), decodeURI(path)));
  return full === "" || full.endsWith("/") ? `${full}index.html` : full === "." ? "index.html" : full;
}

function idsOf(html: string): Set<string> {
  return new Set(Array.from(html.matchAll(/\sid="([^"]+)"/g), ([, id = ""]) => id));
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}
