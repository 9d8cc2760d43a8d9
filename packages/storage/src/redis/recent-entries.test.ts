import { describe, expect, it } from "vitest";
import type { LogEntry } from "../engine.js";
import { createRecentEntries, type RecentEntries, type RecentEntriesOptions } from "./recent-entries.js";

function entry(baseOffset: bigint): LogEntry {
  return { baseOffset, recordCount: 1, meta: new Uint8Array(0), body: new Uint8Array(100) };
}

function recentOf(options: Partial<RecentEntriesOptions> = {}) {
  return createRecentEntries({
    appendedBytesMax: 1_000_000,
    readBytesMax: 1_000_000,
    ageMsMax: 1_000,
    readMsMax: 10_000,
    nowMs: () => 0,
    generation: () => 0,
    ...options,
  });
}

const has = (recent: RecentEntries, log: string, offset: bigint, reader = "one"): boolean =>
  recent.at(log, offset, reader) !== undefined;

describe("recent entries", () => {
  it("wants what is appended to logs that somebody asked for lately", () => {
    let nowMs = 0;
    const recent = recentOf({ nowMs: () => nowMs });
    expect(recent.wants("a")).toBe(false);
    recent.at("a", 0n, "one");
    nowMs = 10_000;
    expect(recent.wants("a")).toBe(true);
    expect(recent.wants("b")).toBe(false);
    nowMs = 10_001;
    expect(recent.wants("a")).toBe(false);
  });

  it("keeps what was read only while two groups read the log", () => {
    let nowMs = 0;
    const recent = recentOf({ nowMs: () => nowMs });
    recent.at("a", 0n, "one");
    recent.at("a", 0n, "one");
    recent.read("a", [entry(0n)], true, recent.life);
    expect(has(recent, "a", 0n)).toBe(false);
    recent.at("a", 0n, "two");
    recent.read("a", [entry(0n), entry(1n)], true, recent.life);
    expect(recent.at("a", 0n, "one")).toMatchObject({ index: 0, endsLog: true });
    expect(has(recent, "b", 0n)).toBe(false);
    nowMs = 10_001;
    recent.at("a", 2n, "one");
    nowMs = 20_002;
    recent.at("a", 2n, "one");
    recent.read("a", [entry(2n)], true, recent.life);
    expect(has(recent, "a", 2n)).toBe(false);
  });

  it("gives what was appended though the log is read elsewhere meanwhile", () => {
    const recent = recentOf();
    recent.at("a", 0n, "one");
    recent.at("a", 0n, "two");
    recent.appended("a", entry(90n));
    recent.read("a", [entry(0n)], false, recent.life);
    recent.appended("a", entry(91n));
    expect(recent.at("a", 90n, "one")?.entries).toHaveLength(2);
    expect(recent.at("a", 0n, "one")).toMatchObject({ endsLog: false });
  });

  it("forgets everything when a connection was lost, and when it is told to", () => {
    let generation = 0;
    const recent = recentOf({ generation: () => generation });
    recent.appended("a", entry(0n));
    generation++;
    expect(has(recent, "a", 0n)).toBe(false);
    recent.appended("a", entry(0n));
    recent.clear();
    expect(has(recent, "a", 0n)).toBe(false);
  });

  it("forgets one log, and keeps the others", () => {
    const recent = recentOf();
    recent.at("a", 0n, "one");
    recent.at("a", 0n, "two");
    const { life } = recent;
    recent.appended("a", entry(5n));
    recent.appended("b", entry(5n));
    recent.read("a", [entry(0n)], false, life);
    recent.forget("a");
    expect([has(recent, "a", 0n), has(recent, "a", 5n), has(recent, "b", 5n)]).toEqual([false, false, true]);
    recent.read("a", [entry(0n)], false, life);
    expect(has(recent, "a", 0n)).toBe(false);
    recent.appended("a", entry(5n));
    expect(has(recent, "a", 5n)).toBe(true);
  });

  it("keeps no answer to a question from before it forgot", () => {
    const recent = recentOf();
    recent.at("a", 0n, "one");
    recent.at("a", 0n, "two");
    const { life } = recent;
    recent.clear();
    recent.at("a", 0n, "one");
    recent.at("a", 0n, "two");
    recent.read("a", [entry(0n)], true, life);
    expect(has(recent, "a", 0n)).toBe(false);
  });
});
