import type { GroupLoss, TopicPartition } from "../engine.js";

/** What trims need of an engine: where a log stands, and one atomic trim. */
export interface TrimStore {
  /** Where a log begins and ends. */
  ends(partition: TopicPartition): Promise<LogEnds>;
  /** Base offset of the first entry that passes a test which, once passed, is passed by every later entry; undefined when none does. */
  firstEntry(partition: TopicPartition, test: (head: EntryHead) => boolean): Promise<bigint | undefined>;
  /** Base offset of the last entry that begins at or before an offset; the start when none does. */
  entryAt(partition: TopicPartition, offset: bigint): Promise<bigint>;
  /** The first offset that some group of the partition has not settled; undefined without groups. */
  settledUpTo(partition: TopicPartition): Promise<bigint | undefined>;
  /**
   * Deletes the entries below `to`, the base offset of an entry that is there, with what groups still had pending of them. Atomic, and safe to run by
   * several processes at once. Keeps the producers' table, so that `stored-once` holds for what is trimmed.
   */
  trim(partition: TopicPartition, to: bigint, mode: TrimMode): Promise<TrimResult>;
}

/** `any`: whoever has not settled it, counted as lost. `settled`: only if no group loses anything. `dry run`: answers what `any` would do. */
export type TrimMode = "any" | "settled" | "dry run";

export interface TrimResult {
  readonly startBefore: bigint;
  readonly startAfter: bigint;
  readonly losses: readonly GroupLoss[];
}

/** What is in a log, without its payload. */
export interface LogEnds {
  /** Nothing was ever appended: every offset is 0n then. */
  readonly isEmpty: boolean;
  readonly startOffset: bigint;
  /** Base offset of the last entry: `startOffset` when it is the only one. */
  readonly lastBaseOffset: bigint;
  readonly endOffset: bigint;
  readonly firstAppendMs: number;
  readonly lastAppendMs: number;
  /** Bytes of the bodies kept. */
  readonly bytes: number;
  /** Bytes of all bodies ever appended. */
  readonly logBytes: number;
}

/** An entry without its payload. */
export interface EntryHead {
  readonly baseOffset: bigint;
  readonly recordCount: number;
  readonly appendTimeMs: number;
  /** Bytes of all bodies before it. */
  readonly logBytes: number;
  /** Bytes of its own. */
  readonly bodyBytes: number;
}

/** Of an empty log. */
export const emptyEnds: LogEnds = {
  isEmpty: true,
  startOffset: 0n,
  lastBaseOffset: 0n,
  endOffset: 0n,
  firstAppendMs: 0,
  lastAppendMs: 0,
  bytes: 0,
  logBytes: 0,
};
