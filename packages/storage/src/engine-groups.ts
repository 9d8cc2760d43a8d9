/** Consumer groups as an engine keeps them: members, who owns what under which epoch, what is handed out and what became of it. */
import type { GmqError } from "@gmq/protocol";
import type { LogEntry, StartPosition } from "./engine.js";

export interface GroupStore {
  /**
   * Adds a member or renews it: the same member id with another incarnation fences the old one and keeps its partitions.
   * The first join that names a topic fixes where the group begins in it (`start`).
   * @throws `invalid_argument`, `invalid_name`, `topic_not_found`
   */
  join(member: GroupMemberSpec, start: StartPosition): Promise<GroupView>;
  /** Renews sessions by the store's clock and lets run-out members of these groups go. One answer for each, in order. */
  heartbeat(members: readonly MemberHeartbeat[]): Promise<MemberLiveness[]>;
  /** Removes the member; its partitions are free at once. No effect when another incarnation took over. */
  leave(member: MemberRef): Promise<void>;
  /** The member gives partitions back that it was asked for; the next owner gets them. */
  release(member: MemberRef, partitions: readonly TopicPartition[]): Promise<GroupView>;
  /** Undefined: no such group. */
  get(group: string, look?: GroupLook): Promise<GroupView | undefined>;
  list(): Promise<GroupView[]>;
  /** @throws `group_not_found`, `group_not_empty` */
  delete(group: string): Promise<void>;
  /** Progress in every partition that the group has touched. @throws `group_not_found` */
  offsets(group: string): Promise<GroupPartitionOffsets[]>;
  /**
   * What is handed out and not settled in a partition, in order, one page of it: ask again with `page.from` while there is a `next`, or see `pagesOf`. No effect.
   * @throws `group_not_found`, `topic_not_found`, `partition_not_found`
   */
  pending(group: string, partition: TopicPartition, page?: ClaimPage): Promise<HeldPage>;
  /**
   * Where the group is in a partition, and what of it is pending, as one; no effect. Undefined: it has not begun there. What is pending comes in pages as with
   * `pending`; a later page tells the place as it is then, and what was handed out in between.
   * @throws `topic_not_found`, `partition_not_found`
   */
  progress(group: string, partition: TopicPartition, page?: ClaimPage): Promise<PartitionProgress | undefined>;
  /**
   * Moves the group to another place in a topic. Owners are fenced first, then each partition moves in one step, then the partitions are assigned anew; what
   * was handed out and not settled is forgotten. A reset that is cut off leaves the rest of the partitions where they were and the group goes on within
   * `limits.groupHoldMsMax`; the same reset may be sent again.
   * @throws `group_not_found`, `topic_not_found`, `partition_not_found`, `invalid_argument` (past the end), `conflict` (members or owners moved since
   * `expectedVersion`)
   */
  reset(request: GroupReset): Promise<GroupResetResult>;
  /** Nobody owns these partitions until `resume`; owners settle what they hold and give them back. Kept over restarts. @throws `group_not_found`, `topic_not_found` */
  pause(request: GroupPause): Promise<GroupView>;
  /** @throws `group_not_found`, `topic_not_found` */
  resume(request: GroupPause): Promise<GroupView>;

  /**
   * Takes a partition over with the epoch that the group view gave: from now on every older epoch is `fenced`.
   * Pending entries move to the new owner and are returned in order; their bytes are read with `log.read`. When they are many they come in pages, of which the
   * first is the claim: ask again with `page.from` while there is a `next`, or see `claimWhole`.
   * Claiming again under the same epoch changes nothing.
   * A desk's claim (`ownership.shared`) registers it beside the other desks and returns what is pending with it; with `peers` it takes over what those left that
   * are gone.
   * Rejected records whose copy is owed are brought to their dead-letter topic first; what cannot be now is tried again in the background.
   * @throws `fenced`, `topic_not_found`, `partition_not_found`
   */
  claim(ownership: Ownership, peers?: DeskPeers, page?: ClaimPage): Promise<ClaimResult>;
  /**
   * Reads on from `position` and registers what it returns as pending with the owner, many partitions in one call.
   * At least one entry when there is any, else as many as fit both bounds. What was handed out before is given again, as it is; to a desk it is not: another
   * one may have it (then nothing may come though there is more: the answer's position tells where to go on), and after a lost answer its claim tells what it was given.
   * One answer for each, in order; never rejects as a whole. Outcomes: `fenced`, `topic_not_found`, `partition_not_found`, `store_unavailable`.
   */
  fetch(fetches: readonly PartitionFetch[]): Promise<FetchOutcome[]>;
  /**
   * A fetch that stays open, for an owner who has everything that there is: whenever there is more it is fetched at once, where the store is, and told, until the
   * bytes or records are used up. One at a time for an ownership, and no `fetch` beside it. Returns how to stop it (what is on its way still comes, then `ended`);
   * undefined: not now, wait for signals. An engine without it is as near as a follow would be.
   */
  follow?(fetch: PartitionFetch, events: FollowEvents): (() => void) | undefined;
  /**
   * Settles records of pending entries, in any order, many partitions in one call. One answer for each, in order; never rejects as a whole.
   * A range already settled is accepted again. An entry whose records are all settled leaves the pending list.
   * A rejected record is settled once its copy is in the dead-letter topic (made on first use, whatever `autoCreate` says), stored once however often this is asked.
   * Outcomes: `fenced` (nothing changed), `topic_not_found`, `partition_not_found`; refusals `not_delivered`, `already_settled` (a retry, or a reject of
   * what was acked) and `invalid_argument` for single ranges (the others are settled).
   * A range to reject is refused with a retryable error (`store_full`, `store_unavailable`) when it is marked and its copy is still owed: send it again.
   */
  settle(settles: readonly PartitionSettle[]): Promise<SettleOutcome[]>;
}

/** What to tell of a group beside its members and owners. */
export interface GroupLook {
  /** Each member's `heartbeatAgeMs`, which costs one more look at the store. Default false. */
  readonly heartbeats?: boolean;
}

export interface GroupPause {
  readonly group: string;
  /** Undefined: every topic of the group. */
  readonly topic: string | undefined;
}

export interface GroupReset {
  readonly group: string;
  readonly topic: string;
  /** Undefined: all partitions. */
  readonly partitions: readonly number[] | undefined;
  readonly to: StartPosition;
  /** Tells what would happen, and changes nothing. */
  readonly dryRun: boolean;
  /** The group's version that the caller decided on (of a dry run); undefined: whatever it is. */
  readonly expectedVersion: number | undefined;
}

export interface GroupResetResult {
  readonly version: number;
  readonly partitions: readonly GroupMove[];
}

/** What a reset does in a partition. */
export interface GroupMove extends TopicPartition {
  readonly before: bigint;
  readonly after: bigint;
  /** Settled records that are delivered again. */
  readonly rereadRecords: number;
  /** Unsettled records that are never delivered to the group. */
  readonly skippedRecords: number;
}

export interface GroupMemberSpec {
  readonly group: string;
  readonly memberId: string;
  /** Names this life of the member. */
  readonly incarnation: string;
  readonly clientId: string;
  readonly clientVersion: string;
  readonly brokerId: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
  readonly staticMember: boolean;
  /** Absent: exclusive, it owns partitions. The members of a group are exclusive, or shared with their desks; a join that differs is refused. */
  readonly kind?: MemberKind | undefined;
}

/** `shared`: takes records from a desk and owns nothing. `desk`: reads every partition of its topics for the shared members of one broker, beside other desks. */
export type MemberKind = "shared" | "desk";

export interface MemberRef {
  readonly group: string;
  readonly memberId: string;
  readonly incarnation: string;
}

export interface MemberHeartbeat extends MemberRef {
  readonly sessionTimeoutMs: number;
}

export interface MemberLiveness {
  /** The member has to join again: another incarnation took over, or its session ran out. */
  readonly fenced: boolean;
  readonly groupVersion: number;
  /** When the next session of the group runs out unless it is renewed, by the store's clock; undefined: the group has none. */
  readonly nextExpiryInMs: number | undefined;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A group's members and who owns what. `version` grows with each change. */
export interface GroupView {
  readonly group: string;
  readonly version: number;
  /** The highest fencing epoch that the group has given out. */
  readonly epoch: number;
  readonly members: readonly GroupMember[];
  readonly partitions: readonly PartitionOwnership[];
}

export interface GroupMember extends GroupMemberSpec {
  readonly joinedAtMs: number;
  /** Since its session was renewed, by the store's clock; only where it was asked for. */
  readonly heartbeatAgeMs?: number | undefined;
  /** Fencing epoch of a desk's life; absent for others. */
  readonly epoch?: number | undefined;
}

export interface PartitionOwnership extends TopicPartition {
  /** Undefined: nobody owns it. */
  readonly memberId: string | undefined;
  /** Fencing epoch: grows with each change of owner. */
  readonly epoch: number;
  /** Set: the owner is asked to release it to this member; `heldMember` when nobody is to have it for now. */
  readonly nextMemberId: string | undefined;
  /** Why nobody may own it for now; undefined when anybody may. */
  readonly hold?: "paused" | "reset" | undefined;
  /** The last owner, or desk, that lost it without giving it back, when that was lately. */
  readonly fence?: PartitionFence | undefined;
}

/** How a member lost a partition: what it still does there is refused. */
export interface PartitionFence {
  readonly memberId: string;
  /** `expired`: its session ran out. `replaced`: another session of the same member took over. `reset`: the group was moved. */
  readonly reason: string;
  /** By the store's clock. */
  readonly atMs: number;
}

/** In `nextMemberId`: the partition is given back and stays without an owner. No member can have this name. */
export const heldMember = "/held";

export interface Ownership extends TopicPartition {
  readonly group: string;
  readonly memberId: string;
  readonly epoch: number;
  /** The owner is a desk: one of several that hand out the partition's entries, each entry by one. */
  readonly shared?: boolean | undefined;
}

/** The desks of a partition as a view of the group shows them: one that registered up to `epoch` and is not named is gone. */
export interface DeskPeers {
  readonly memberIds: readonly string[];
  readonly epoch: number;
}

export interface ClaimResult {
  /** Next offset that no owner of the group was given. */
  readonly position: bigint;
  readonly endOffset: bigint;
  /** What is pending with this owner; one page of it. */
  readonly pending: PendingEntry[];
  /** Where the next page begins; undefined: there is none. */
  readonly next?: bigint | undefined;
}

/** A part of what is pending. */
export interface ClaimPage {
  /**
   * `next` of the page before. Undefined: begins. A claim that goes on only looks, and is `fenced` unless the partition was claimed under the same epoch.
   */
  readonly from?: bigint | undefined;
  /** At most so many entries, and records of which something is told, of each kind; one larger entry comes alone. Default and at most `limits.claimItemsMax`. */
  readonly itemsMax?: number | undefined;
}

/** A group's place in a partition. */
export interface PartitionProgress {
  /** Next offset that no owner of the group was given. */
  readonly position: bigint;
  readonly pending: readonly PendingEntry[];
  /** Where the next page of what is pending begins; undefined: there is none. */
  readonly next?: bigint | undefined;
}

/** One page of what is pending, as it stands with whoever has it. */
export interface HeldPage {
  readonly pending: readonly HeldEntry[];
  /** Where the next page begins; undefined: there is none. */
  readonly next?: bigint | undefined;
}

/** A pending entry as it stands with whoever has it. */
export interface HeldEntry extends PendingEntry {
  /**
   * Since the entry was handed to who has it now, by the store's clock. A take-over begins anew; what becomes of single records of the entry does not.
   */
  readonly idleMs: number;
  /** Member id of the desk that has it, in a shared group; "" when its partition's owner does. */
  readonly desk: string;
}

export interface PendingEntry {
  readonly baseOffset: bigint;
  readonly recordCount: number;
  /** One character a record: `.` unsettled, `a` acked, `s` skipped, `x` rejected with its copy owed (never delivered again), `d` dead-lettered. "" when all are unsettled. */
  readonly states: string;
  /** Failed attempts, for records that have any. */
  readonly attempts: readonly RecordAttempts[];
  /** Records that wait for their retry time. */
  readonly due: readonly RetryDue[];
  readonly handBacks: HandBacks;
}

/** How often records went back without being settled; it costs no attempt. */
export interface HandBacks {
  /** Times that the whole entry passed to another owner. */
  readonly takeOvers: number;
  /** Releases, for records that have any; they add to `takeOvers`. `index` is relative to the entry's base offset. */
  readonly releases: readonly { readonly index: number; readonly releases: number }[];
}

export interface RecordAttempts {
  /** Relative to the entry's base offset. */
  readonly index: number;
  readonly attempts: number;
}

export interface RetryDue {
  readonly index: number;
  /** From now, by the store's clock; 0 when due. */
  readonly inMs: number;
}

export interface PartitionFetch {
  readonly ownership: Ownership;
  readonly position: bigint;
  readonly bytesMax: number;
  readonly recordsMax: number;
}

/** Entries, where the next fetch begins, and where the log ends. */
export interface Fetched {
  readonly ok: true;
  readonly entries: LogEntry[];
  readonly position: bigint;
  readonly endOffset: bigint;
}

export type FetchOutcome = Fetched | { readonly ok: false; readonly error: GmqError };

/** What a follow tells, in order. None may throw; nothing comes after `ended`. */
export interface FollowEvents {
  fetched(fetched: Fetched): void;
  /** The bytes or records are used up, it was stopped, or with an error: as of a fetch. */
  ended(error: GmqError | undefined): void;
}

export interface PartitionSettle {
  readonly ownership: Ownership;
  readonly entries: readonly EntrySettle[];
}

export interface EntrySettle {
  readonly baseOffset: bigint;
  readonly recordCount: number;
  readonly ranges: readonly SettleRange[];
}

/** An inclusive range of offsets and what became of it. */
export interface SettleRange {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  /**
   * `ack`: done. `retry`: failed, counts an attempt for each record, due again after `delayMs` (`inPlace`: the owner runs it again itself).
   * `release`: handed back untouched, counts a hand-back and no attempt. `reject`: given up, goes to the group's dead-letter topic.
   */
  readonly verb: "ack" | "retry" | "release" | "reject";
  readonly delayMs?: number;
  readonly inPlace?: boolean;
  /** With `reject`: why, at most `limits.rejectReasonBytesMax`. */
  readonly reason?: string;
  /** With `reject`: what went wrong, at most `limits.rejectErrorTextBytesMax`. */
  readonly errorText?: string;
}

export type SettleOutcome =
  | { readonly ok: true; readonly refusals: readonly SettleRefusal[] }
  | { readonly ok: false; readonly error: GmqError };

export interface SettleRefusal {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly error: GmqError;
}

export interface GroupPartitionOffsets extends TopicPartition {
  readonly position: bigint;
  readonly unsettledRecords: number;
  readonly startOffset: bigint;
  readonly endOffset: bigint;
  readonly lagRecords: number;
  /** Age of the oldest unsettled entry by append time, 0 without lag. */
  readonly lagMs: number;
  /** Records that were trimmed before the group had settled them. */
  readonly lostRecords: number;
}
