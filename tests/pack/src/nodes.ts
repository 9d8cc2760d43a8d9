/** Node versions under which packages are tried: each is had from the registry once and kept in .tools. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { root } from "@gmq/e2e/harness/workspace";
import { mustRun } from "./run.js";

/** `GMQ_PACK_NODES`, comma-separated, `current` for the one that runs this; default: the newest of each line that is supported. */
export const nodeVersions = (process.env["GMQ_PACK_NODES"] ?? "22.23.3,24.21.0,26.10.0")
  .split(",")
  .map((version) => (version === "current" ? process.versions.node : version));

/** The folder of a Node's binary, to be put first on PATH. */
export async function nodeFolder(version: string): Promise<string> {
  if (version === process.versions.node) return dirname(process.execPath);
  const folder = join(root, ".tools", `node-${version}`);
  const bin = join(folder, "node_modules", "node", "bin");
  if (!existsSync(join(bin, "node"))) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), '{"private":true}');
    const args = ["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"];
    await mustRun("npm", [...args, `node@${version}`], { cwd: folder });
  }
  const { stdout } = await mustRun(join(bin, "node"), ["--version"], { cwd: folder });
  if (stdout.trim() !== `v${version}`) throw new Error(`${bin}/node is ${stdout.trim()}, not v${version}`);
  return bin;
}
