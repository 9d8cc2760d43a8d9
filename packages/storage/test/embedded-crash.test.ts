import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GmqError } from "@gmq/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { valuesOf } from "../src/conformance/batches.js";
import { memberOf, startConsumer } from "../src/conformance/consumer.js";
import { waysInto } from "../src/conformance/context.js";
import { createEmbeddedEngine } from "../src/embedded.js";

let path: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "gmq-crash-"));
});

afterEach(async () => {
  await Promise.all(children.splice(0).map(kill));
  await rm(path, { recursive: true, force: true });
});

/** A process that works on the folder; what it was told so far. */
function startChild(word: string): { readonly child: ChildProcess; lines(): string[] } {
  const script = new URL("embedded-child.mjs", import.meta.url).pathname;
  // Node 22 says that its SQLite is experimental; anything else on stderr is a failure.
  const args = ["--disable-warning=ExperimentalWarning", script, path, word];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let text = "";
  let errors = "";
  child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  return {
    child,
    lines() {
      if (errors.trim() !== "") throw new Error(`the child failed: ${errors}`);
      // What follows the last line break was cut off by the kill.
      return text.split("\n").slice(0, -1);
    },
  };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}

const numbersOf = (lines: readonly string[], word: string): bigint[] =>
  lines.filter((line) => line.startsWith(`${word} `)).map((line) => BigInt(line.split(" ")[1] ?? ""));

describe("a process that holds the folder and is killed", () => {
  it("has on disk whatever it was told is stored or settled", async () => {
    const told = new Map<bigint, string>();
    const settled = new Set<bigint>();
    for (const word of ["a", "b", "c"]) {
      const { child, lines } = startChild(word);
      await expect.poll(() => numbersOf(lines(), "settled").length, { timeout: 20_000 }).toBeGreaterThan(30);
      await kill(child);
      for (const line of lines()) {
        const [what, offset = "", value = ""] = line.split(" ");
        if (what !== "stored") continue;
        expect(told.has(BigInt(offset)), `offset ${offset} was given twice`).toBe(false);
        told.set(BigInt(offset), value);
      }
      for (const offset of numbersOf(lines(), "settled")) settled.add(offset);

      const engine = await createEmbeddedEngine({ path });
      try {
        const values = await waysInto(engine).values("t");
        for (const [offset, value] of told) expect(values[Number(offset)]).toBe(value);
        expect(new Set(values).size).toBe(values.length);
        const member = memberOf("g", ["t"], { memberId: "m", incarnation: `check-${word}` });
        const { claimed, fetch } = await startConsumer(engine, member, "earliest");
        for (const offset of settled) expect(offset).toBeLessThan(claimed.position);
        for (const { baseOffset } of claimed.pending) expect(settled).not.toContain(baseOffset);
        const rest = (await fetch()).flatMap(valuesOf);
        expect(rest).toEqual(values.slice(Number(claimed.position)));
      } finally {
        await engine.close();
      }
    }
    expect(told.size).toBeGreaterThan(90);
  }, 60_000);
});

describe("a folder", () => {
  it("that another process holds is refused, naming folder and process, and free once that one is gone", async () => {
    const { child, lines } = startChild("a");
    await expect.poll(lines, { timeout: 20_000 }).toContain("open");
    const refusal = await createEmbeddedEngine({ path }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!GmqError.is(refusal, "store_unavailable")) throw new Error(`expected store_unavailable, got ${refusal}`);
    expect(refusal.field).toBe("path");
    expect(refusal.message).toContain(path);
    expect(refusal.message).toContain(`in use by the process with pid ${child.pid}`);
    // The one that holds it is not disturbed.
    const before = lines().length;
    await expect.poll(() => lines().length, { timeout: 20_000 }).toBeGreaterThan(before);
    await kill(child);
    const engine = await createEmbeddedEngine({ path });
    expect(await engine.topics.get("t")).toBeDefined();
    await engine.close();
  }, 60_000);

  it("that an engine of this process holds is refused too", async () => {
    const engine = await createEmbeddedEngine({ path });
    await expect(createEmbeddedEngine({ path })).rejects.toMatchObject({
      code: "store_unavailable",
      field: "path",
      message: expect.stringContaining(`in use by the process with pid ${process.pid}`),
    });
    await engine.close();
    await (await createEmbeddedEngine({ path })).close();
  });

  it("that cannot be one is refused for what it is", async () => {
    await expect(createEmbeddedEngine({ path: "" })).rejects.toMatchObject({ code: "invalid_argument", field: "path" });
    const file = join(path, "file");
    await writeFile(file, "");
    const refused = (message: RegExp) => ({
      code: "store_unavailable",
      field: "path",
      message: expect.stringMatching(message),
    });
    await expect(createEmbeddedEngine({ path: file })).rejects.toMatchObject(refused(/cannot be opened.*EEXIST/));
    await writeFile(join(path, "gmq.sqlite"), "this is no database, and long enough to be looked at".repeat(100));
    await expect(createEmbeddedEngine({ path })).rejects.toMatchObject(refused(/cannot be opened.*not a database/));
  });

  it("that a newer GMQ wrote is refused, each time", async () => {
    await (await createEmbeddedEngine({ path })).close();
    const { DatabaseSync } = await import("node:sqlite");
    const change = new DatabaseSync(join(path, "gmq.sqlite"));
    change.exec("update format set version = 99");
    change.close();
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(createEmbeddedEngine({ path })).rejects.toMatchObject({
        code: "unsupported_version",
        field: "path",
      });
    }
  });
});
