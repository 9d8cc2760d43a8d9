import { createFifo } from "@gmq/protocol";
import type { LogEntry } from "../engine.js";

/** Entries of many logs in memory, in runs without a gap; the oldest leave first. What is here was stored and never changes. */
export interface EntryRuns {
  /** Keeps an entry under the log's key, once. `wasLast`: nothing stood behind it then. */
  note(log: string, entry: LogEntry, wasLast: boolean): void;
  /** The run that has an entry at exactly this offset; undefined: ask the store. */
  at(log: string, offset: bigint): FoundRun | undefined;
  forget(log: string): void;
  clear(): void;
}

export interface FoundRun {
  /** The whole run; the caller must not change it, and it changes with the next note. */
  readonly entries: readonly LogEntry[];
  /** Where in it the entry stands. */
  readonly index: number;
  /** Nothing stood behind the last of them when it came. */
  readonly endsLog: boolean;
}

/** Bounds of what is kept. */
export interface EntryRunsOptions {
  /** Bytes of all entries together. */
  readonly bytesMax: number;
  /** An entry leaves after this time. */
  readonly ageMsMax: number;
  /** Runs of one log: its readers may stand in several places. One more replaces the one that grew last longest ago. */
  readonly runsPerLogMax: number;
  /** Monotonic, in ms. */
  readonly nowMs: () => number;
}

interface EntryRun {
  readonly log: string;
  entries: LogEntry[];
  endsLog: boolean;
}

interface Kept {
  readonly run: EntryRun;
  readonly entry: LogEntry;
  readonly bytes: number;
  readonly addedMs: number;
}

/** Bytes that an entry takes beside its own. */
const overheadBytes = 256;

/** Makes an empty one. */
export function createEntryRuns({ bytesMax, ageMsMax, runsPerLogMax, nowMs }: EntryRunsOptions): EntryRuns {
  /** By log; the run that grew last is the last. */
  const byLog = new Map<string, EntryRun[]>();
  /** All of them in the order in which they came; may hold what was replaced. */
  let order = createFifo<Kept>();
  let bytes = 0;

  function dropOldest(): void {
    const { run, entry, bytes: freed } = order.shift() as Kept;
    bytes -= freed;
    if (run.entries[0] !== entry) return;
    run.entries.shift();
    if (run.entries.length > 0) return;
    // A run with entries is always one of its log's.
    const runs = byLog.get(run.log) as EntryRun[];
    runs.splice(runs.indexOf(run), 1);
    if (runs.length === 0) byLog.delete(run.log);
  }

  function dropLate(): void {
    const untilMs = nowMs() - ageMsMax;
    for (let oldest = order.peek(); oldest !== undefined && oldest.addedMs < untilMs; oldest = order.peek())
      dropOldest();
  }

  /** The run that an entry goes on with, else a new one, as the last of its log; undefined when it is here already. */
  function runBefore(log: string, baseOffset: bigint): EntryRun | undefined {
    const runs = byLog.get(log) ?? [];
    const grew = runs.at(-1);
    if (grew !== undefined && endOf(grew.entries) === baseOffset) return grew;
    if (find(log, baseOffset) !== undefined) return undefined;
    if (grew === undefined) byLog.set(log, runs);
    const at = runs.findIndex(({ entries }) => endOf(entries) === baseOffset);
    if (at < 0 && runs.length === runsPerLogMax) (runs.shift() as EntryRun).entries = [];
    const run = at < 0 ? { log, entries: [], endsLog: false } : (runs.splice(at, 1)[0] as EntryRun);
    runs.push(run);
    return run;
  }

  function find(log: string, offset: bigint): FoundRun | undefined {
    for (const { entries, endsLog } of byLog.get(log) ?? []) {
      const index = indexOf(entries, offset);
      if (index >= 0) return { entries, index, endsLog };
    }
    return undefined;
  }

  return {
    note(log, entry, wasLast) {
      dropLate();
      const run = runBefore(log, entry.baseOffset);
      if (run === undefined) return;
      const own = entry.body.length + entry.meta.length + overheadBytes;
      run.entries.push(entry);
      run.endsLog = wasLast;
      order.push({ run, entry, bytes: own, addedMs: nowMs() });
      bytes += own;
      while (bytes > bytesMax) dropOldest();
    },
    at(log, offset) {
      dropLate();
      return find(log, offset);
    },
    forget(log) {
      // What `order` holds of them is only counted.
      for (const run of byLog.get(log) ?? []) run.entries = [];
      byLog.delete(log);
    },
    clear() {
      byLog.clear();
      order = createFifo();
      bytes = 0;
    },
  };
}

function endOf(entries: readonly LogEntry[]): bigint | undefined {
  const last = entries.at(-1);
  return last === undefined ? undefined : last.baseOffset + BigInt(last.recordCount);
}

/** Where the entry with this base offset stands; -1 when there is none. */
function indexOf(entries: readonly LogEntry[], offset: bigint): number {
  let low = 0;
  let high = entries.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const { baseOffset } = entries[middle] as LogEntry;
    if (baseOffset === offset) return middle;
    if (baseOffset < offset) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
