import { createFifo } from "@gmq/protocol";
import type { LogEntry } from "../engine.js";

/**
 * The entries that this process has just appended. A consumer that keeps up is given them from memory: no XRANGE, no bytes through Redis and back.
 * What is here was accepted by Redis and never changes; what another process appended is not here and is read.
 */
export interface TailCache {
  /** Whether somebody reads the log here: entries of others are not worth keeping. */
  wants(log: string): boolean;
  /** Keeps an entry that Redis has accepted, under the log's key. */
  note(log: string, entry: LogEntry): void;
  /** The entries from exactly this offset on without a gap, as far as they are known; empty: ask Redis. The caller must not change it. */
  from(log: string, offset: bigint): readonly LogEntry[];
  /** Logs may have changed in another way than by appending: deleted, made again, emptied. */
  clear(): void;
}

/** Bounds of the cache. */
export interface TailCacheOptions {
  /** Bytes of all entries together; the oldest leave first. */
  readonly bytesMax: number;
  /** An entry leaves after this time: whoever reads that late is not keeping up. */
  readonly ageMsMax: number;
  /** A log counts as read for this long after somebody asked. */
  readonly readMsMax: number;
  /** Monotonic, in ms. */
  readonly nowMs: () => number;
  /** Grows when a connection to the store was lost: then the log may have changed in another way than by appending, and everything is forgotten. */
  readonly generation: () => number;
}

interface Kept {
  readonly log: string;
  readonly entry: LogEntry;
  readonly bytes: number;
  readonly addedMs: number;
}

/** Bytes that an entry takes beside its own. */
const overheadBytes = 256;

/** Makes an empty cache. */
export function createTailCache({ bytesMax, ageMsMax, readMsMax, nowMs, generation }: TailCacheOptions): TailCache {
  /** Runs without a gap, oldest entry first, by log. */
  const runs = new Map<string, LogEntry[]>();
  /** All of them in the order in which they came; may hold what a gap has taken out of `runs`. */
  let order = createFifo<Kept>();
  /** When somebody last asked for a log; as many as there are partitions that were read. */
  const askedMs = new Map<string, number>();
  let bytes = 0;
  let known = generation();

  function dropOldest(): void {
    const { log, entry, bytes: freed } = order.shift() as Kept;
    bytes -= freed;
    const run = runs.get(log);
    if (run?.[0] === entry) run.shift();
    if (run?.length === 0) runs.delete(log);
  }

  function wants(log: string): boolean {
    const lastMs = askedMs.get(log);
    if (lastMs === undefined) return false;
    if (nowMs() - lastMs <= readMsMax) return true;
    askedMs.delete(log);
    return false;
  }

  function clear(): void {
    runs.clear();
    askedMs.clear();
    order = createFifo();
    bytes = 0;
  }

  function dropLate(): void {
    const now = generation();
    if (now !== known) {
      known = now;
      clear();
    }
    const untilMs = nowMs() - ageMsMax;
    for (let oldest = order.peek(); oldest !== undefined; oldest = order.peek()) {
      if (oldest.addedMs >= untilMs) return;
      dropOldest();
    }
  }

  return {
    wants,
    note(log, entry) {
      dropLate();
      const own = entry.body.length + entry.meta.length + overheadBytes;
      let run = runs.get(log);
      const last = run?.at(-1);
      if (
        run === undefined ||
        (last !== undefined && last.baseOffset + BigInt(last.recordCount) !== entry.baseOffset)
      ) {
        run = [];
        runs.set(log, run);
      }
      run.push(entry);
      order.push({ log, entry, bytes: own, addedMs: nowMs() });
      bytes += own;
      while (bytes > bytesMax) dropOldest();
    },
    from(log, offset) {
      dropLate();
      askedMs.set(log, nowMs());
      const run = runs.get(log);
      if (run === undefined) return [];
      const at = indexOf(run, offset);
      return at < 0 ? [] : at === 0 ? run : run.slice(at);
    },
    clear,
  };
}

/** Where the entry with this base offset stands; -1 when there is none. */
function indexOf(run: readonly LogEntry[], offset: bigint): number {
  let low = 0;
  let high = run.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const { baseOffset } = run[middle] as LogEntry;
    if (baseOffset === offset) return middle;
    if (baseOffset < offset) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
