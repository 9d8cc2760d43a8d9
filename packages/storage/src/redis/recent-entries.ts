import type { LogEntry } from "../engine.js";
import { createEntryRuns, type FoundRun } from "./entry-runs.js";

/**
 * The entries that this process has just appended or read. A consumer that keeps up is given the first from memory, and groups that read the same part of a log at
 * about the same time share one reading of it: no XRANGE, no bytes through Redis and back. What another process appended is here once it was read.
 */
export interface RecentEntries {
  /** Whether somebody reads the log here: else what is appended is not worth keeping. */
  wants(log: string): boolean;
  /** Keeps an entry that Redis has accepted. */
  appended(log: string, entry: LogEntry): void;
  /** Grows when anything is forgotten. */
  readonly life: number;
  /**
   * Keeps entries that Redis has given, when others than the one they were read for read this log too. `atEnd`: it has no more. `life`: as it was when Redis was
   * asked: an answer from before a topic was made again is not kept.
   */
  read(log: string, entries: readonly LogEntry[], atEnd: boolean, life: number): void;
  /**
   * A run that has the entry at exactly this offset; undefined: ask Redis. `group`: who reads. Only for readers that have claimed the partition since its topic was
   * made, each claim forgets what is here: the signal that the topic was deleted and made again may come later than they do.
   */
  at(log: string, offset: bigint, group: string): FoundRun | undefined;
  /** The log may be another one than before. */
  forget(log: string): void;
  /** Logs may have changed in another way than by appending: deleted, made again, emptied. */
  clear(): void;
}

/** Bounds of what is kept. */
export interface RecentEntriesOptions {
  /** Bytes of appended entries; the oldest leave first. */
  readonly appendedBytesMax: number;
  /** Bytes of read entries; the oldest leave first. */
  readonly readBytesMax: number;
  /** An entry leaves after this time: whoever reads that late is not keeping up, neither with the log nor with other readers. */
  readonly ageMsMax: number;
  /** A log counts as read for this long after somebody asked. */
  readonly readMsMax: number;
  /** Monotonic, in ms. */
  readonly nowMs: () => number;
  /** Grows when a connection to the store was lost: then the log may have changed in another way than by appending, and everything is forgotten. */
  readonly generation: () => number;
}

/** Which group asked for a log last, and when; and when another one did. */
interface Asked {
  group: string;
  atMs: number;
  otherMs: number;
}

/** Places in one log where readers may stand apart and still share with others. */
const placesPerLogMax = 4;

/** Makes it empty. */
export function createRecentEntries(options: RecentEntriesOptions): RecentEntries {
  const { appendedBytesMax, readBytesMax, ageMsMax, readMsMax, nowMs, generation } = options;
  const appended = createEntryRuns({ bytesMax: appendedBytesMax, ageMsMax, runsPerLogMax: 1, nowMs });
  const read = createEntryRuns({ bytesMax: readBytesMax, ageMsMax, runsPerLogMax: placesPerLogMax, nowMs });
  /** As many as there are partitions that were read. */
  const asked = new Map<string, Asked>();
  let known = generation();
  let life = 0;

  function clear(): void {
    life++;
    appended.clear();
    read.clear();
    asked.clear();
  }

  function forgetLost(): void {
    const now = generation();
    if (now === known) return;
    known = now;
    clear();
  }

  function noteAsked(log: string, group: string): void {
    const atMs = nowMs();
    const before = asked.get(log);
    if (before === undefined) {
      asked.set(log, { group, atMs, otherMs: Number.NEGATIVE_INFINITY });
      return;
    }
    if (before.group !== group) before.otherMs = before.atMs;
    before.group = group;
    before.atMs = atMs;
  }

  return {
    wants(log) {
      const last = asked.get(log);
      if (last === undefined) return false;
      if (nowMs() - last.atMs <= readMsMax) return true;
      asked.delete(log);
      return false;
    },
    appended(log, entry) {
      forgetLost();
      appended.note(log, entry, true);
    },
    get life() {
      forgetLost();
      return life;
    },
    read(log, entries, atEnd, lifeThen) {
      forgetLost();
      if (life !== lifeThen) return;
      if (nowMs() - (asked.get(log)?.otherMs ?? Number.NEGATIVE_INFINITY) > readMsMax) return;
      const last = entries.length - 1;
      for (const [index, entry] of entries.entries()) read.note(log, entry, atEnd && index === last);
    },
    at(log, offset, group) {
      forgetLost();
      noteAsked(log, group);
      return appended.at(log, offset) ?? read.at(log, offset);
    },
    forget(log) {
      life++;
      appended.forget(log);
      read.forget(log);
    },
    clear,
  };
}
