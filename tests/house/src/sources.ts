import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout's root. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");

/** One source file of a package or an app. */
export interface SourceFile {
  /** Path from the root, with slashes. */
  readonly path: string;
  /** `packages/broker`, `apps/admin`. */
  readonly home: string;
  readonly text: string;
  readonly lines: number;
  /** What it imports or re-exports, as written. */
  readonly imports: readonly string[];
  /** Of these, what is there at run time. */
  readonly valueImports: readonly string[];
  readonly isTest: boolean;
}

const skipped = new Set(["node_modules", "dist", "gen", ".turbo", ".reports"]);
const importPattern = /^\s*(?:import|export)\b[^"';]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm;

const typeImportPattern = /^\s*(?:import|export) type\b[^"';]*?from\s+"[^"]+"/gm;

function importsOf(text: string): string[] {
  return Array.from(text.matchAll(importPattern), (match) => match[1] ?? match[2] ?? match[3] ?? "");
}

/** Every TypeScript source of packages and apps, generated code left out. */
export function readSources(): SourceFile[] {
  return ["packages", "apps"].flatMap((area) =>
    readdirSync(join(root, area), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) =>
        ["src", "web/src"]
          .map((folder) => join(root, area, entry.name, folder))
          .filter((folder) => existsSync(folder))
          .flatMap((folder) => readFolder(folder, `${area}/${entry.name}`)),
      ),
  );
}

function readFolder(folder: string, home: string): SourceFile[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : readFolder(path, home);
    return /\.tsx?$/.test(entry.name) ? [readSource(path, home)] : [];
  });
}

function readSource(path: string, home: string): SourceFile {
  const text = readFileSync(path, "utf8");
  const imports = importsOf(text);
  return {
    path: relative(root, path).split("\\").join("/"),
    home,
    text,
    lines: text.split("\n").length,
    imports,
    valueImports: importsOf(text.replaceAll(typeImportPattern, "")),
    isTest: /\.test\.tsx?$/.test(path),
  };
}
