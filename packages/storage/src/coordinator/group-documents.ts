import type { ClaimPage, HeldEntry, PartitionProgress, StartPosition, TopicPartition } from "../engine.js";

/**
 * What the coordinator asks of an engine: one versioned document per group, member sessions by the store's clock, and the group's place in
 * a partition. Everything else about groups (joining, assigning, passing on) is the coordinator's and the same on every engine.
 */
export interface GroupDocuments {
  /** The document and its version (0 and undefined: none), and the members whose sessions ran out. */
  load(group: string): Promise<StoredGroup>;
  /** Milliseconds until each session of the group runs out, by the store's clock. */
  sessionsLeftMs(group: string): Promise<ReadonlyMap<string, number>>;
  /**
   * Compare-and-set: stores the document as version `expectedVersion + 1`, changes sessions with it, and signals the group. All or nothing.
   * False: the version moved, or a session of `expired` is alive after all; read again.
   */
  save(group: string, expectedVersion: number, document: string, sessions: SessionChanges): Promise<boolean>;
  /** Renews sessions, many groups in one call; one answer for each, in order. `alive` is false for a session that is not there any more. */
  touch(renewals: readonly SessionRenewal[]): Promise<SessionTouch[]>;
  list(): Promise<string[]>;
  /** Removes the document, the sessions and the group's state in every partition named. False: the version moved. */
  delete(group: string, expectedVersion: number, partitions: readonly TopicPartition[]): Promise<boolean>;
  /**
   * Fixes where the group begins in partitions that it does not know yet; no effect in the others. `nowMs`: when the group was loaded for it, which tells it from one of
   * its name that was deleted before. @throws `topic_not_found`
   */
  initialize(group: string, partitions: readonly TopicPartition[], start: StartPosition, nowMs: number): Promise<void>;
  /** Where the group is in a partition, and a page of what is pending; undefined: it has not begun there. No effect. @throws `topic_not_found`, `partition_not_found` */
  progress(group: string, partition: TopicPartition, page?: ClaimPage): Promise<HeldProgress | undefined>;
  /** The offset that a position means now: between the first kept offset and the end. @throws `topic_not_found`, `partition_not_found` */
  offsetOf(partition: TopicPartition, position: StartPosition): Promise<bigint>;
  /**
   * Moves the group's place in a partition under an epoch above every owner's, which fences them, and forgets what was handed out. Returns where it was.
   * @throws `fenced` when a higher epoch came first, `topic_not_found`
   */
  reposition(group: string, partition: TopicPartition, epoch: number, offset: bigint): Promise<PartitionProgress>;
}

/** A group's place in a partition, with since when each pending entry is with who has it. */
export interface HeldProgress extends PartitionProgress {
  readonly pending: readonly HeldEntry[];
}

export interface StoredGroup {
  readonly version: number;
  readonly document: string | undefined;
  /** Sessions past their deadline by the store's clock. */
  readonly expired: readonly string[];
  readonly nowMs: number;
}

/** A session is named `<member id>/<incarnation>`. */
export interface SessionChanges {
  readonly renew: readonly { readonly session: string; readonly timeoutMs: number }[];
  /** Removed whatever their deadline (left, or taken over by another incarnation). */
  readonly remove: readonly string[];
  /** Removed only because their time ran out: the save fails when one of them is alive. */
  readonly expired: readonly string[];
}

export interface SessionRenewal {
  readonly group: string;
  readonly session: string;
  readonly timeoutMs: number;
}

export interface SessionTouch {
  readonly alive: boolean;
  readonly version: number;
  /** Some session of the group ran out: load it and let the coordinator pass its partitions on. */
  readonly anyExpired: boolean;
  /** Until the next session of the group runs out; undefined: it has none. */
  readonly nextExpiryInMs: number | undefined;
}
