import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const file = new URL("process-memory.ts", import.meta.url).href;

/** What a fresh process prints that runs `script`. */
async function printed(script: string, ...flags: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "--input-type=module", "-e", script]);
  return stdout;
}

/**
 * Mark-compacts of a fresh process while 1 GiB of short-lived buffers passes through. Without V8's own threads: on a busy machine those fall behind, and what they have
 * not freed yet starts collections too.
 */
async function majorCollections(first: string): Promise<number> {
  const script = `
    import { setTimeout as sleep } from "node:timers/promises";
    import { relaxExternalMemoryLimit } from ${JSON.stringify(file)};
    ${first}
    for (let round = 0; round < 64; round++) {
      for (let made = 0; made < 64; made++) Buffer.allocUnsafeSlow(256 * 1024).fill(round);
      await sleep(1);
    }`;
  return (await printed(script, "--single-threaded", "--trace-gc")).split("Mark-Compact").length - 1;
}

describe.runIf(Number.parseInt(process.versions.v8, 10) >= 13)("external memory", () => {
  it("starts fewer collections of the whole heap once the limit is relaxed", async () => {
    const before = await majorCollections("");
    const after = await majorCollections("relaxExternalMemoryLimit();");
    expect(before).toBeGreaterThan(4);
    expect(after).toBeLessThan(before / 2);
  });
});

/** Pages that the kernel had to bring to a fresh process while 800 MiB of buffers, 16 MiB at once, were made, filled and freed in it. */
async function pagesBrought(): Promise<number> {
  const script = `
    import { keepFreedMemory } from ${JSON.stringify(file)};
    keepFreedMemory();
    const before = process.resourceUsage().minorPageFault;
    for (let round = 0; round < 50; round++) {
      const buffers = Array.from({ length: 16 }, () => Buffer.allocUnsafeSlow(1024 * 1024).fill(round));
      for (const { buffer } of buffers) buffer.transfer(0);
    }
    console.log(process.resourceUsage().minorPageFault - before);`;
  return Number(await printed(script));
}

describe.runIf(hasGlibc())("freed memory", () => {
  it("is used again once it is kept: every time little more than the 4,096 pages of 16 MiB", async () => {
    // Without it 4,400 to 203,000: by chance of what lies behind the last buffer. So several processes are asked.
    for (let round = 0; round < 8; round++) expect(await pagesBrought()).toBeLessThan(6_000);
  });
});

function hasGlibc(): boolean {
  const report = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime !== undefined;
}
