import type { Ownership } from "../engine.js";

/** What is kept of a rejected record until its copy is in the dead-letter topic. */
export interface Rejection {
  /** Failed attempts, with the one that was rejected. */
  readonly attempts: number;
  /** When it was rejected, by the store's clock; later rejects of the same record do not change it. */
  readonly atMs: number;
  readonly reason: string;
  readonly errorText: string;
}

/** A rejected record by its place in the pending list. */
export interface OwedRecord {
  readonly baseOffset: bigint;
  readonly index: number;
}

/** Records of a pending entry by index. */
export interface BuriedEntry {
  readonly baseOffset: bigint;
  readonly indexes: readonly number[];
}

/** The two primitives that an engine gives for dead letters; the rest is the same for all of them. */
export interface OwedCopies {
  /** Why these records were rejected; undefined for those that are not rejected (any more). In order. */
  rejections(ownership: Ownership, records: readonly OwedRecord[]): Promise<(Rejection | undefined)[]>;
  /** Notes that the copies of rejected records are stored: settles them. Records in any other state are passed over. @throws GmqError `fenced`, and the store's errors */
  bury(ownership: Ownership, entries: readonly BuriedEntry[]): Promise<void>;
}
