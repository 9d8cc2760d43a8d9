/**
 * The engine: a partitioned log with consumer groups. Redis, the embedded file and the remote storage service implement it;
 * the conformance suite says what every method means. Brokers know nothing else of the store.
 */
import type { GmqError } from "@gmq/protocol";
import type { GroupStore, TopicPartition } from "./engine-groups.js";

export type {
  ClaimPage,
  ClaimResult,
  DeskPeers,
  EntrySettle,
  Fetched,
  FetchOutcome,
  FollowEvents,
  GroupLook,
  GroupMember,
  GroupMemberSpec,
  GroupMove,
  GroupPartitionOffsets,
  GroupPause,
  GroupReset,
  GroupResetResult,
  GroupStore,
  GroupView,
  HandBacks,
  HeldEntry,
  HeldPage,
  MemberHeartbeat,
  MemberKind,
  MemberLiveness,
  MemberRef,
  Ownership,
  PartitionFence,
  PartitionFetch,
  PartitionOwnership,
  PartitionProgress,
  PartitionSettle,
  PendingEntry,
  RecordAttempts,
  RetryDue,
  SettleOutcome,
  SettleRange,
  SettleRefusal,
  TopicPartition,
} from "./engine-groups.js";

import type { TopicConfig, TopicSettings } from "./retention/topic-config.js";

export type { Retention, TopicConfig, TopicSettings } from "./retention/topic-config.js";

export interface Engine {
  readonly kind: "redis" | "embedded" | "remote";
  readonly topics: TopicStore;
  readonly log: LogStore;
  readonly groups: GroupStore;
  readonly signals: SignalHub;
  /** What the store is and whether it can serve; never throws. */
  status(): Promise<StoreStatus>;
  /** Finishes appends, fetches and settles in flight, closes connections and files; later calls are refused as `closed`. Idempotent. */
  close(): Promise<void>;
}

// ---------------------------------------------------------------- topics

export interface TopicStore {
  /** @throws `topic_exists`, `invalid_name`, `invalid_argument` (partitions, retention, byte budget) */
  create(name: string, config: TopicConfig): Promise<TopicInfo>;
  /** Undefined: there is no such topic. @throws `invalid_name` */
  get(name: string): Promise<TopicInfo | undefined>;
  /** In order of names. */
  list(): Promise<TopicInfo[]>;
  /** Deletes the topic, its records and every group's state of it. @throws `topic_not_found`, `invalid_name` */
  delete(name: string): Promise<void>;
  /** One for each partition, in order. @throws `topic_not_found`, `invalid_name` */
  stats(name: string): Promise<PartitionStats[]>;
  /** Replaces retention and byte budget. @throws `topic_not_found`, `invalid_argument`, `conflict` (the topic has another version by now) */
  alter(name: string, settings: TopicSettings, version: number): Promise<TopicInfo>;
  /**
   * Adds empty partitions until there are `partitions`. Records stay where they are; keys whose hash modulo the new count differs go elsewhere from now on.
   * @throws `topic_not_found`, `invalid_argument` (not more than there are)
   */
  addPartitions(name: string, partitions: number): Promise<TopicInfo>;
}

export interface TopicInfo {
  readonly name: string;
  readonly config: TopicConfig;
  /** Tells the lives of a topic apart: made again, it has a later one. */
  readonly createdAtMs: number;
  /** Grows with each change of the configuration; a topic deleted and made again has a higher one. */
  readonly version: number;
}

export interface PartitionStats {
  readonly partition: number;
  /** First offset still kept; equals `endOffset` when nothing is. */
  readonly startOffset: bigint;
  /** Offset that the next record gets. */
  readonly endOffset: bigint;
  readonly entries: number;
  /** Append time of the last entry, 0 when none. */
  readonly lastAppendMs: number;
  /** Bytes of the bodies kept, as stored; entries of before byte accounting count as 0. */
  readonly bytes: number;
  /** Append time of the first entry, 0 when none. */
  readonly firstAppendMs: number;
}

// ---------------------------------------------------------------- log

export interface LogStore {
  /**
   * Appends batches to many partitions. Answers in the same shape: one outcome for each batch, in order; never rejects as a whole.
   * Order: batches of one partition are stored in the order given, over calls too. Concurrent calls share log entries (group commit).
   * Durable when it answers, as far as the store is (see `StoreStatus.durability`). A batch already stored (producer, epoch, sequence; or
   * dedupe id) is answered with its first offset and `duplicate`. A batch with `deliverAtMs` is durable beside the log and goes into it when its time has come:
   * once, whichever process does it, and within a second as a rule.
   * Outcomes: `topic_not_found`, `partition_not_found`, `invalid_name`, `out_of_order`, `producer_fenced`, `batch_corrupt`, `batch_too_large`, `unknown_codec`,
   * `store_unavailable`, `store_full` and `topic_full` (nothing stored), `unknown_outcome` (send again with the same sequence).
   * The engine reads `batch.records` until it answers; the caller must not change it.
   */
  append(appends: readonly PartitionAppend[]): Promise<AppendOutcome[][]>;
  /**
   * Reads entries without any effect. The first entry is the one that holds `from` (records before `from` in it are included).
   * At least one entry when there is any, else as many as fit both bounds.
   * @throws `topic_not_found`, `partition_not_found`, `invalid_name`
   */
  read(request: ReadRequest): Promise<ReadResult>;
  /**
   * Trims entries that lie wholly below an offset, whoever has not settled them; the last entry always stays, so that offsets go on.
   * @throws `topic_not_found`, `partition_not_found`, `invalid_argument` (a negative offset)
   */
  purge(request: PurgeRequest): Promise<PurgedPartition[]>;
  /** What waits beside a partition for its time (`deliverAtMs`). @throws `topic_not_found`, `partition_not_found`, `invalid_name` */
  scheduled(partition: TopicPartition): Promise<ScheduledBatches>;
}

/** Delayed batches of a partition; a client sends one record in each. */
export interface ScheduledBatches {
  readonly batches: number;
  /** When the next one goes into the log, from now by the store's clock; 0 when due. Undefined: none waits. */
  readonly nextInMs: number | undefined;
}

export interface PurgeRequest {
  readonly topic: string;
  /** Undefined: every partition. */
  readonly partition?: number | undefined;
  /** The first offset to keep; past the end: all but the last entry goes. */
  readonly toOffset: bigint;
  /** True: answers what would happen and changes nothing. */
  readonly dryRun?: boolean | undefined;
}

/** What a trim did to one partition. */
export interface PurgedPartition {
  readonly partition: number;
  readonly startBefore: bigint;
  readonly startAfter: bigint;
  /** Groups that had not settled all of it, and how many records they lost. */
  readonly losses: readonly GroupLoss[];
}

export interface GroupLoss {
  readonly group: string;
  readonly records: number;
}

export interface PartitionAppend {
  readonly topic: string;
  readonly partition: number;
  readonly batches: readonly LogBatch[];
}

/** A batch as it came from its producer; gmq.v1.Batch has this shape. */
export interface LogBatch {
  readonly recordCount: number;
  /** Number of gmq.v1.Codec. */
  readonly codec: number;
  readonly crc32: number;
  /** 0n: not idempotent. */
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly firstSequence: bigint;
  readonly uncompressedBytes: number;
  readonly dedupeId?: string | undefined;
  /** Not in the log before this time (milliseconds since the epoch); undefined or 0n: at once. Needs a dedupe id and no producer id. */
  readonly deliverAtMs?: bigint;
  readonly records: Uint8Array;
}

export type AppendOutcome =
  | {
      readonly ok: true;
      readonly firstOffset: bigint;
      readonly duplicate: boolean;
      readonly appendTimeMs: number;
      /** Kept until its time comes; `firstOffset` is -1n. */
      readonly scheduled?: boolean;
      /** A byte budget is nearly used up: answer the producer so much later, so that it slows down. */
      readonly throttleMs?: number;
    }
  | { readonly ok: false; readonly error: GmqError };

export interface ReadRequest {
  readonly topic: string;
  readonly partition: number;
  readonly from: StartPosition;
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/** A place in a partition. `timestampMs`: the first entry appended at or after it. `offset` before the start means the start, past the end the end. */
export type StartPosition = "earliest" | "latest" | { readonly offset: bigint } | { readonly timestampMs: number };

export interface ReadResult {
  readonly entries: LogEntry[];
  readonly startOffset: bigint;
  readonly endOffset: bigint;
}

/** One stored entry: the joined batches of an append turn. `meta` decodes with `decodeEntryMeta`; other readers may hold the same bytes: they must not be changed. */
export interface LogEntry {
  readonly baseOffset: bigint;
  readonly recordCount: number;
  readonly meta: Uint8Array;
  readonly body: Uint8Array;
}

// ---------------------------------------------------------------- signals

/** Hints that something moved. They may be lost or doubled: look on start, on `resync` and on a slow timer as well. */
export interface SignalHub {
  /** Calls `listener` for every signal of the store until the returned function is called. The listener must not throw. */
  subscribe(listener: (signal: Signal) => void): () => void;
}

export type Signal =
  | { readonly kind: "partition"; readonly topic: string; readonly partition: number; readonly endOffset: bigint }
  | { readonly kind: "group"; readonly group: string }
  | { readonly kind: "topic"; readonly topic: string }
  /** Signals may have been lost: look at everything again. */
  | { readonly kind: "resync" };

// ---------------------------------------------------------------- status

export interface StoreStatus {
  readonly engine: "redis" | "embedded" | "remote";
  readonly ready: boolean;
  /** Why not; when ready "", or what it does not do for now (a full store takes no appends, and serves consumers). */
  readonly reason: string;
  /** What a crash of the store can lose: nothing, up to about two seconds, everything since a snapshot. */
  readonly durability: "disk" | "about 1 s" | "memory" | "unknown";
  /** For operators: server version, role, memory, path. */
  readonly details: Readonly<Record<string, string>>;
  /** The services between here and the store, in the order of their URLs; absent: there are none. */
  readonly storages?: readonly StorageHealth[];
}

/** A storage service as it is seen over a link. */
export interface StorageHealth {
  readonly url: string;
  /** "" until it was linked once; so are version and engine. */
  readonly storageId: string;
  readonly version: string;
  readonly engine: string;
  readonly ready: boolean;
  /** Why it is not ready, or what its store does not do for now. */
  readonly reason: string;
}
