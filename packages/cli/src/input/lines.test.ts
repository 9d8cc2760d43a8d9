import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { readLines } from "./lines.js";

const never = new AbortController().signal;

async function linesOf(chunks: readonly (string | Uint8Array)[], max = 100): Promise<[number, string, boolean][]> {
  const lines: [number, string, boolean][] = [];
  for await (const block of readLines(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), max, never)) {
    for (const { number, text, oversized } of block) lines.push([number, text, oversized]);
  }
  return lines;
}

describe("readLines", () => {
  it("joins lines over chunks and keeps a last line without its end", async () => {
    expect(await linesOf(["a\nb", "c\r\n", "\nd"])).toEqual([
      [1, "a", false],
      [2, "bc", false],
      [3, "", false],
      [4, "d", false],
    ]);
  });

  it("does not break a character that two chunks share", async () => {
    const bytes = Buffer.from("größe\n");
    expect(await linesOf([bytes.subarray(0, 3), bytes.subarray(3)])).toEqual([[1, "größe", false]]);
  });

  it("marks a line over the bound and reads the next one", async () => {
    expect(await linesOf(["0123456789abc", "def\nnext\n0123456789\n"], 10)).toEqual([
      [1, "0123456789", true],
      [2, "next", false],
      [3, "0123456789", false],
    ]);
  });

  it("ends when it is aborted while the input is silent", async () => {
    const stop = new AbortController();
    const silent = new Readable({ read() {} });
    silent.push("one\ntwo");
    const lines: string[] = [];
    for await (const block of readLines(silent, 100, stop.signal)) {
      lines.push(...block.map(({ text }) => text));
      setTimeout(() => stop.abort(), 5);
    }
    expect(lines).toEqual(["one"]);
    expect(silent.destroyed).toBe(true);
  });

  it("throws what the input throws", async () => {
    const broken = new Readable({
      read() {
        this.destroy(new Error("disk"));
      },
    });
    await expect(async () => {
      for await (const block of readLines(broken, 100, never)) expect(block).toEqual([]);
    }).rejects.toThrow("disk");
  });
});
