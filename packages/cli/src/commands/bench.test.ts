import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addBenchCommand } from "./bench.js";
import type { CommandContext } from "./context.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gmq-cli-bench-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function run(entry: string, args: readonly string[]): Promise<number[]> {
  const codes: number[] = [];
  const context: CommandContext = {
    terminal: {
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
      env: {},
      interrupted: new AbortController().signal,
    },
    exit: (code) => void codes.push(code),
  };
  const program = new Command("gmq").exitOverride();
  addBenchCommand(program, context, entry);
  await program.parseAsync(["bench", ...args], { from: "user" });
  return codes;
}

describe("gmq bench", () => {
  it("hands its options to the benchmark of the checkout and says how that ended", async () => {
    const entry = join(folder, "main.mjs");
    const seen = join(folder, "seen.json");
    await writeFile(
      entry,
      `import { writeFileSync } from "node:fs";
       writeFileSync(${JSON.stringify(seen)}, JSON.stringify(process.argv.slice(2)));
       process.exitCode = process.argv.includes("--strict") ? 1 : 0;`,
    );
    expect(await run(entry, ["--", "--workloads", "W1", "--quick"])).toEqual([0]);
    expect(JSON.parse(await readFile(seen, "utf8"))).toEqual(["--workloads", "W1", "--quick"]);
    expect(await run(entry, ["--", "--strict"])).toEqual([1]);
  });

  it("says why not where there is no checkout", async () => {
    await expect(run(join(folder, "absent.ts"), [])).rejects.toThrowError(
      expect.objectContaining({ code: "unimplemented", message: expect.stringContaining("make bench") }),
    );
  });
});
