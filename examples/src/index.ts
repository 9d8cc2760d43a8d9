/**
 * Runs all examples one after another, each in a process of its own, against the brokers of GMQ_BROKERS or else a GMQ that it starts in memory.
 * Arguments choose among them: `make examples ARGS=03`. Exits with 1 when one failed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { startGmq } from "./start-gmq.ts";

const chosen = process.argv.slice(2);
const files = readdirSync(import.meta.dirname)
  .filter((file) => /^\d\d-.*\.ts$/.test(file))
  .filter((file) => chosen.length === 0 || chosen.some((start) => file.startsWith(start)))
  .toSorted();
if (files.length === 0) throw new Error(`no example begins with ${chosen.join(" or ")}`);

const given = process.env["GMQ_BROKERS"];
const own = given === undefined ? await startGmq() : undefined;
const failed: string[] = [];
try {
  for (const file of files) {
    console.log(`\n== ${file}`);
    const child = spawn(process.execPath, [join(import.meta.dirname, file)], {
      stdio: "inherit",
      env: { ...process.env, GMQ_BROKERS: given ?? own?.brokers },
    });
    const [code] = await once(child, "exit");
    if (code !== 0) failed.push(file);
  }
} finally {
  await own?.stop();
}
console.log(failed.length === 0 ? `\n${files.length} examples ran as they should` : `\nfailed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
