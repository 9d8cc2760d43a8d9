import { readFileSync } from "node:fs";
import type { Load } from "./task.ts";

/** The records that a round sends, over and over. */
export interface Payloads {
  /** `count` payloads; the same memory every time. */
  batch(count: number): readonly Uint8Array[];
  readonly meanBytes: number;
}

const distinct = 256;

/** Makes payloads of a size, or takes the lines of a file. */
export function makePayloads({ dataFile, recordBytes, batchRecords }: Load): Payloads {
  const all = dataFile === undefined ? madeUp(recordBytes) : linesOf(dataFile);
  const meanBytes = all.reduce((sum, { length }) => sum + length, 0) / all.length;
  const doubled = [...all];
  while (doubled.length < all.length + batchRecords) doubled.push(...all);
  let next = 0;
  return {
    meanBytes,
    batch(count) {
      const from = next;
      next = (next + count) % all.length;
      return doubled.slice(from, from + count);
    },
  };
}

function madeUp(recordBytes: number): Buffer[] {
  const count = Math.max(1, Math.min(distinct, Math.floor((8 * 1024 * 1024) / recordBytes)));
  return Array.from({ length: count }, (_, index) => Buffer.alloc(recordBytes, 32 + (index % 90)));
}

function linesOf(file: string): Buffer[] {
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  return lines.map((line) => Buffer.from(line));
}
