/** What `import … from "@gmq/client"` costs a program, as esbuild bundles it: minified, compressed, with all that it depends on. */
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { root } from "@gmq/e2e/harness/workspace";
import { build } from "esbuild";
import { expect, it } from "vitest";

/** Compressed bytes: GMQ's own code, all that the import loads, and one file with what calls load later in it. */
const budgets = [
  { entry: "@gmq/client", platform: "node", ownBytesMax: 37_000, loadedBytesMax: 53_000, wholeBytesMax: 61_000 },
  { entry: "@gmq/client/web", platform: "browser", ownBytesMax: 15_000, loadedBytesMax: 48_000, wholeBytesMax: 48_000 },
] as const;

/** Resolves the packages from a project that has them. */
const here = join(root, "tests/e2e");

/** Bundles `export *` of an entry; a bundle for browsers fails when anything in it needs Node. */
function bundle(entry: string, platform: "node" | "browser", external: readonly string[], splitting: boolean) {
  return build({
    stdin: { contents: `export * from "${entry}";`, resolveDir: here },
    absWorkingDir: here,
    outdir: "bundle",
    bundle: true,
    splitting,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    target: "es2022",
    platform,
    external: [...external],
  });
}

/** Bytes of the chunks that an import loads at once. */
async function loadedBytes(
  entry: string,
  platform: "node" | "browser",
  external: readonly string[] = [],
): Promise<number> {
  const { outputFiles, metafile } = await bundle(entry, platform, external, true);
  const bytes = new Map(outputFiles.map((file) => [relative(here, file.path), gzipSync(file.contents).length]));
  const first = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === "<stdin>")?.[0] ?? "";
  const loaded = new Set<string>();
  const visit = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const { kind, path: next, external: isExternal } of metafile.outputs[path]?.imports ?? [])
      if (kind === "import-statement" && isExternal !== true) visit(next);
  };
  visit(first);
  return [...loaded].reduce((total, path) => total + (bytes.get(path) ?? 0), 0);
}

it.each(budgets)(
  "$entry is within its budget",
  async ({ entry, platform, ownBytesMax, loadedBytesMax, wholeBytesMax }) => {
    const own = await loadedBytes(entry, platform, ["@bufbuild/*", "@connectrpc/*"]);
    const loaded = await loadedBytes(entry, platform);
    const { outputFiles } = await bundle(entry, platform, [], false);
    const whole = outputFiles.reduce((total, file) => total + gzipSync(file.contents).length, 0);
    console.log(`${entry}: ${own} bytes of its own, ${loaded} loaded by the import, ${whole} in one file`);
    expect(own).toBeGreaterThan(5_000);
    expect(own).toBeLessThan(ownBytesMax);
    expect(loaded).toBeGreaterThan(own);
    expect(loaded).toBeLessThan(loadedBytesMax);
    expect(whole).toBeLessThan(wholeBytesMax);
  },
);
