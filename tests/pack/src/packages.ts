/** What would be published: every package of this repository, packed. */
import { readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { root } from "@gmq/e2e/harness/workspace";
import { mustRun } from "./run.js";

/** One packed package. */
export interface PackedPackage {
  readonly name: string;
  readonly version: string;
  /** Its folder in the checkout. */
  readonly folder: string;
  readonly tarball: string;
  /** Entry points as they are imported: `@gmq/client`, `@gmq/client/web`. */
  readonly entries: readonly string[];
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly exports: Readonly<Record<string, unknown>>;
}

/** Packs every public package into a folder, as `pnpm publish` would. */
export async function packAll(into: string): Promise<PackedPackage[]> {
  await mkdir(into, { recursive: true });
  const packed: PackedPackage[] = [];
  for (const name of readdirSync(join(root, "packages"))) {
    const folder = join(root, "packages", name);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
    if (manifest.private === true) continue;
    const { stdout } = await mustRun("pnpm", ["pack", "--json", "--pack-destination", into], { cwd: folder });
    const { filename } = JSON.parse(stdout) as { filename: string };
    packed.push({
      name: manifest.name,
      version: manifest.version,
      folder,
      tarball: join(into, basename(filename)),
      entries: Object.keys(manifest.exports)
        .filter((entry) => entry !== "./package.json")
        .map((entry) => (entry === "." ? manifest.name : `${manifest.name}${entry.slice(1)}`)),
    });
  }
  return packed;
}
