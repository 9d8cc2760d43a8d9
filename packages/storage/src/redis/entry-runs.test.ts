import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { LogEntry } from "../engine.js";
import { createEntryRuns, type EntryRuns, type EntryRunsOptions } from "./entry-runs.js";

function entry(baseOffset: bigint, recordCount: number, bytes = 100): LogEntry {
  return { baseOffset, recordCount, meta: new Uint8Array(0), body: new Uint8Array(bytes) };
}

function runsOf(options: Partial<EntryRunsOptions> = {}) {
  return createEntryRuns({ bytesMax: 1_000_000, ageMsMax: 1_000, runsPerLogMax: 1, nowMs: () => 0, ...options });
}

function offsets(runs: EntryRuns, log: string, offset: bigint): bigint[] {
  const found = runs.at(log, offset);
  return found === undefined ? [] : found.entries.slice(found.index).map(({ baseOffset }) => baseOffset);
}

describe("entry runs", () => {
  it("gives what was appended from exactly an entry's first offset on, of that log only", () => {
    const runs = runsOf();
    for (const [log, base, count] of [
      ["a", 0n, 5],
      ["b", 0n, 1],
      ["a", 5n, 2],
      ["a", 7n, 1],
    ] as const)
      runs.note(log, entry(base, count), false);
    expect(offsets(runs, "a", 0n)).toEqual([0n, 5n, 7n]);
    expect(offsets(runs, "a", 5n)).toEqual([5n, 7n]);
    expect(offsets(runs, "a", 6n)).toEqual([]);
    expect(offsets(runs, "a", 8n)).toEqual([]);
    expect(offsets(runs, "c", 0n)).toEqual([]);
  });

  it("never gives entries with a gap between them: another process appended there", () => {
    const runs = runsOf();
    runs.note("a", entry(0n, 5), false);
    runs.note("a", entry(9n, 1), false);
    expect(offsets(runs, "a", 0n)).toEqual([]);
    expect(offsets(runs, "a", 9n)).toEqual([9n]);
  });

  it("holds no more than its bytes, the oldest leave first", () => {
    const runs = runsOf({ bytesMax: 10_000 });
    for (let base = 0n; base < 100n; base++) runs.note(base % 2n === 0n ? "a" : "b", entry(base / 2n, 1, 744), false);
    const kept = [...offsets(runs, "a", 45n), ...offsets(runs, "b", 45n)];
    expect(kept).toEqual([45n, 46n, 47n, 48n, 49n, 45n, 46n, 47n, 48n, 49n]);
    expect(offsets(runs, "a", 44n)).toEqual([]);
  });

  it("lets go of what has left", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const runs = runsOf({ bytesMax: 10_000 });
    const noted = Array.from({ length: 100 }, (_, base) => {
      const kept = entry(BigInt(base), 1, 744);
      runs.note("a", kept, false);
      return new WeakRef(kept);
    });
    // A WeakRef keeps what it is made of until the turn ends.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(noted.flatMap((kept) => kept.deref()?.baseOffset ?? []).length).toBe(10);
    expect(offsets(runs, "a", 90n).length).toBe(10);
  });

  it("does not keep an entry over the bound at all", () => {
    const runs = runsOf({ bytesMax: 10_000 });
    runs.note("a", entry(0n, 1, 20_000), false);
    expect(offsets(runs, "a", 0n)).toEqual([]);
    runs.note("a", entry(1n, 1, 100), false);
    expect(offsets(runs, "a", 1n)).toEqual([1n]);
  });

  it("forgets after a time", () => {
    let nowMs = 0;
    const runs = runsOf({ nowMs: () => nowMs });
    runs.note("a", entry(0n, 1), false);
    nowMs = 900;
    runs.note("a", entry(1n, 1), false);
    nowMs = 1_100;
    expect(offsets(runs, "a", 0n)).toEqual([]);
    expect(offsets(runs, "a", 1n)).toEqual([1n]);
  });

  it("keeps an entry once, and knows whether it was the last of its log", () => {
    const runs = runsOf();
    runs.note("a", entry(0n, 1), false);
    runs.note("a", entry(1n, 1), true);
    runs.note("a", entry(0n, 1), false);
    expect(offsets(runs, "a", 0n)).toEqual([0n, 1n]);
    expect(runs.at("a", 0n)?.endsLog).toBe(true);
    runs.note("a", entry(2n, 1), false);
    expect(runs.at("a", 0n)?.endsLog).toBe(false);
  });

  it("lets readers stand in several places of a log; the one that grew last longest ago goes first", () => {
    const runs = runsOf({ runsPerLogMax: 2 });
    runs.note("a", entry(0n, 10), false);
    runs.note("a", entry(100n, 10), false);
    runs.note("a", entry(10n, 10), false);
    runs.note("a", entry(500n, 10), false);
    expect(offsets(runs, "a", 0n)).toEqual([0n, 10n]);
    expect(offsets(runs, "a", 100n)).toEqual([]);
    expect(offsets(runs, "a", 500n)).toEqual([500n]);
  });

  it("stays small over many entries", () => {
    const runs = runsOf({ bytesMax: 10_000 });
    for (let base = 0n; base < 20_000n; base++) runs.note("a", entry(base, 1, 0), false);
    expect(offsets(runs, "a", 19_961n)).toHaveLength(39);
    runs.clear();
    expect(offsets(runs, "a", 19_999n)).toEqual([]);
  });
});
