import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { LogEntry } from "../engine.js";
import { createTailCache, type TailCacheOptions } from "./tail-cache.js";

function entry(baseOffset: bigint, recordCount: number, bytes = 100): LogEntry {
  return { baseOffset, recordCount, meta: new Uint8Array(0), body: new Uint8Array(bytes) };
}

function cacheOf(options: Partial<TailCacheOptions> = {}) {
  return createTailCache({
    bytesMax: 1_000_000,
    ageMsMax: 1_000,
    readMsMax: 10_000,
    nowMs: () => 0,
    generation: () => 0,
    ...options,
  });
}

const offsets = (entries: readonly LogEntry[]): bigint[] => entries.map(({ baseOffset }) => baseOffset);

describe("tail cache", () => {
  it("gives what was appended from exactly an entry's first offset on, of that log only", () => {
    const cache = cacheOf();
    for (const [log, base, count] of [
      ["a", 0n, 5],
      ["b", 0n, 1],
      ["a", 5n, 2],
      ["a", 7n, 1],
    ] as const)
      cache.note(log, entry(base, count));
    expect(offsets(cache.from("a", 0n))).toEqual([0n, 5n, 7n]);
    expect(offsets(cache.from("a", 5n))).toEqual([5n, 7n]);
    expect(cache.from("a", 6n)).toEqual([]);
    expect(cache.from("a", 8n)).toEqual([]);
    expect(cache.from("c", 0n)).toEqual([]);
  });

  it("never gives entries with a gap between them: another process appended there", () => {
    const cache = cacheOf();
    cache.note("a", entry(0n, 5));
    cache.note("a", entry(9n, 1));
    expect(cache.from("a", 0n)).toEqual([]);
    expect(offsets(cache.from("a", 9n))).toEqual([9n]);
  });

  it("holds no more than its bytes, the oldest leave first", () => {
    const cache = cacheOf({ bytesMax: 10_000 });
    for (let base = 0n; base < 100n; base++) cache.note(base % 2n === 0n ? "a" : "b", entry(base / 2n, 1, 744));
    const kept = [...offsets(cache.from("a", 45n)), ...offsets(cache.from("b", 45n))];
    expect(kept).toEqual([45n, 46n, 47n, 48n, 49n, 45n, 46n, 47n, 48n, 49n]);
    expect(cache.from("a", 44n)).toEqual([]);
  });

  it("lets go of what has left", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const cache = cacheOf({ bytesMax: 10_000 });
    const noted = Array.from({ length: 100 }, (_, base) => {
      const kept = entry(BigInt(base), 1, 744);
      cache.note("a", kept);
      return new WeakRef(kept);
    });
    // A WeakRef keeps what it is made of until the turn ends.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(noted.flatMap((kept) => kept.deref()?.baseOffset ?? []).length).toBe(10);
    expect(cache.from("a", 90n).length).toBe(10);
  });

  it("does not keep an entry over the bound at all", () => {
    const cache = cacheOf({ bytesMax: 10_000 });
    cache.note("a", entry(0n, 1, 20_000));
    expect(cache.from("a", 0n)).toEqual([]);
    cache.note("a", entry(1n, 1, 100));
    expect(offsets(cache.from("a", 1n))).toEqual([1n]);
  });

  it("forgets after a time, and everything when a connection was lost", () => {
    let nowMs = 0;
    let generation = 0;
    const cache = cacheOf({ nowMs: () => nowMs, generation: () => generation });
    cache.note("a", entry(0n, 1));
    nowMs = 900;
    cache.note("a", entry(1n, 1));
    nowMs = 1_100;
    expect(cache.from("a", 0n)).toEqual([]);
    expect(offsets(cache.from("a", 1n))).toEqual([1n]);
    generation++;
    expect(cache.from("a", 1n)).toEqual([]);
  });

  it("wants entries of logs that somebody asked for lately", () => {
    let nowMs = 0;
    const cache = cacheOf({ nowMs: () => nowMs });
    expect(cache.wants("a")).toBe(false);
    cache.from("a", 0n);
    nowMs = 10_000;
    expect(cache.wants("a")).toBe(true);
    expect(cache.wants("b")).toBe(false);
    nowMs = 10_001;
    expect(cache.wants("a")).toBe(false);
  });

  it("stays small over many entries", () => {
    const cache = cacheOf({ bytesMax: 10_000 });
    for (let base = 0n; base < 20_000n; base++) cache.note("a", entry(base, 1, 0));
    expect(cache.from("a", 19_961n)).toHaveLength(39);
    cache.clear();
    expect(cache.from("a", 19_999n)).toEqual([]);
  });
});
