/** The built pages, out of memory: they are small, and nothing outside of the folder can be asked for. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { GmqError } from "@gmq/protocol";
import type { PlainHttp } from "@gmq/service";

/** Scripts and styles of this origin only, no inline script, nothing from anywhere else, not in a frame. */
const securityHeaders = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
};

const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};
const compressed = new Set([".css", ".html", ".js", ".svg"]);

interface WebFile {
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
  readonly body: Uint8Array;
  readonly gzipped: Uint8Array | undefined;
}

/**
 * Reads the pages built beside this module. Hashed assets may be kept for a year, everything else is asked for again.
 * Every path that is no file is a page of the application, which reads the address itself.
 * @throws GmqError `internal` when the pages were not built
 */
export async function createWebFiles(
  folder: string = fileURLToPath(new URL("./web", import.meta.url)),
): Promise<PlainHttp> {
  const files = await readFiles(folder);
  const index = files.get("/index.html");
  if (index === undefined) throw new GmqError("internal", `there are no pages in ${folder}: run the package's build`);

  return ({ method, url, headers }, response) => {
    const path = (url ?? "").split("?", 1)[0] ?? "";
    const file = files.get(path) ?? (isPage(path) ? index : undefined);
    if (file === undefined) return false;
    if (method !== "GET" && method !== "HEAD") {
      response.writeHead(405, { ...securityHeaders, allow: "GET, HEAD" });
      response.end();
    } else if (headers["if-none-match"] === file.etag) {
      response.writeHead(304, file.headers);
      response.end();
    } else {
      const takesGzip = /\bgzip\b/.test(headers["accept-encoding"] ?? "");
      const body = takesGzip && file.gzipped !== undefined ? file.gzipped : file.body;
      const encoding: Record<string, string> = body === file.gzipped ? { "content-encoding": "gzip" } : {};
      response.writeHead(200, { ...file.headers, ...encoding, "content-length": body.length });
      response.end(method === "HEAD" ? undefined : body);
    }
    return true;
  };
}

/** No file of the application, no asset of an older build (a wrong answer would be kept), no call of a service. */
function isPage(path: string): boolean {
  return !path.startsWith("/assets/") && !path.startsWith("/gmq.") && !path.startsWith("/grpc.");
}

async function readFiles(folder: string): Promise<Map<string, WebFile>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    },
  );
  const files = names
    .filter((entry) => entry.isFile() && contentTypes[extname(entry.name)] !== undefined)
    .map(async (entry): Promise<[string, WebFile]> => {
      const file = join(entry.parentPath, entry.name);
      const path = `/${relative(folder, file).split("\\").join("/")}`;
      return [path, await readWebFile(file, path)];
    });
  return new Map(await Promise.all(files));
}

async function readWebFile(file: string, path: string): Promise<WebFile> {
  const body = await readFile(file);
  const extension = extname(file);
  const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
  return {
    body,
    etag,
    gzipped: compressed.has(extension) ? await promisify(gzip)(body) : undefined,
    headers: {
      ...securityHeaders,
      "content-type": contentTypes[extension] ?? "application/octet-stream",
      "cache-control": path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
      vary: "accept-encoding",
      etag,
    },
  };
}
