/**
 * One consumer's subscription, whoever carries it: a session's stream or a thin client's server stream. Binds a membership to dispatchers, numbers the
 * assignments, shares the credit among them, and walks the hand-over of a partition.
 */

import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type {
  ClaimResult,
  FetchOutcome,
  GroupMemberSpec,
  GroupStore,
  LogStore,
  Ownership,
  PartitionFetch,
  PartitionSettle,
  SettleOutcome,
  SettleRange,
  SettleRefusal,
  StartPosition,
  TopicInfo,
  TopicPartition,
} from "@gmq/storage";
import { Assignment, type AssignmentHome, type ReaderContext } from "./assignment.js";
import { createCredit } from "./credit.js";
import type { Delivery } from "./delivery.js";
import type { Dispatcher } from "./dispatcher-handle.js";
import type { Dispatchers } from "./dispatchers.js";
import type { MemberEvents } from "./local-member.js";
import type { Membership } from "./membership.js";
import type { Meter } from "./meter.js";
import type { TopicPatterns } from "./topic-patterns.js";
import type { Turn } from "./turn.js";

/** A partition that the consumer owns, under the number that later frames use. */
export interface AssignedPartition extends TopicPartition {
  readonly assignmentId: number;
  readonly epoch: number;
  readonly position: bigint;
  readonly endOffset: bigint;
  /** A broadcast's: when the topic was made. The position is then the first offset that may be delivered. */
  readonly life?: number;
}

/** The consumer's side. None of these may throw. */
export interface SubscriptionSink {
  assigned(partition: AssignedPartition): void;
  /** Asked back within the deadline; 0: gone already. */
  revoked(assignmentId: number, deadlineMs: number): void;
  deliver(assignmentId: number, deliveries: readonly Delivery[], endOffset: bigint): void;
  /** False while the consumer's stream is full; `pump` is called when there is room. */
  writable(): boolean;
  /** The subscription is over on the broker's side. */
  ended(error: GmqError): void;
}

/** What differs by mode: how the group is joined and who reads for the consumer. */
export interface SubscriptionParts {
  readonly memberships: {
    join(spec: GroupMemberSpec, start: StartPosition, events: MemberEvents): Promise<Membership>;
  };
  readonly dispatchers: Pick<Dispatchers, "add">;
  /** Reads an assignment for its consumer; absent: by a dispatcher of its own. */
  readonly read?: (context: ReaderContext, claim: ClaimResult) => Dispatcher;
}

/** What all subscriptions of a broker share. */
export interface SubscriptionContext extends SubscriptionParts {
  readonly log: Pick<LogStore, "read">;
  readonly fetch: Turn<PartitionFetch, FetchOutcome>;
  /** Absent where reading has no owner. */
  readonly follow: GroupStore["follow"];
  readonly settle: Turn<PartitionSettle, SettleOutcome>;
  readonly logger: Logger;
  /** Makes sure that a topic is there, by use where that is allowed. */
  readonly resolveTopic: (name: string) => Promise<TopicInfo>;
  /** A topic if it is there; never makes one. */
  readonly findTopic: (name: string) => Promise<TopicInfo | undefined>;
  readonly patterns: Pick<TopicPatterns, "resolve" | "watch">;
  readonly meter: Meter;
  /** A consumer has this long to settle and give back what it is asked for. */
  readonly revokeTimeoutMs: number;
  /** The parts of shared mode. */
  readonly desks: SubscriptionParts;
}

export interface Subscription {
  /** @throws GmqError `invalid_argument` */
  grant(records: number, bytes: number): void;
  /** @throws GmqError `assignment_not_found`, `fenced`, and the store's errors: then nothing is settled */
  settle(assignmentId: number, ranges: readonly SettleRange[]): Promise<readonly SettleRefusal[]>;
  /** The consumer is done with assignments that it was asked for. Unknown ones are passed over: they are gone already. */
  release(assignmentIds: readonly number[]): Promise<void>;
  owns(assignmentId: number): boolean;
  /** Records that are with the consumer now, of one assignment or of all. */
  heldRecords(assignmentId?: number): number;
  /** Records that may still be delivered under the credit. */
  readonly creditRecords: number;
  readonly creditBytes: number;
  /** There is room again. */
  pump(): void;
  /** No delivery any more; settling still works until `close`. */
  pause(): void;
  /** Ends it. `leave` hands everything to the others at once. */
  close(options: { readonly leave: boolean }): Promise<void>;
}

/**
 * Joins the group and starts. Delivery begins with the first credit.
 * @throws GmqError what `Memberships.join` does
 */
export async function openSubscription(
  context: SubscriptionContext,
  spec: GroupMemberSpec,
  start: StartPosition,
  nextAssignmentId: () => number,
  sink: SubscriptionSink,
  patterns: readonly string[] = [],
): Promise<Subscription> {
  const subscription = new GroupSubscription(context, spec, nextAssignmentId, sink, patterns);
  await subscription.join(start);
  return subscription;
}

/** A class, as a dispatcher is one. */
class GroupSubscription implements Subscription, MemberEvents, AssignmentHome {
  readonly context: SubscriptionContext;
  readonly sink: SubscriptionSink;
  readonly credit = createCredit();
  readonly #spec: GroupMemberSpec;
  readonly #nextAssignmentId: () => number;
  readonly #patterns: readonly string[];
  readonly #byId = new Map<number, Assignment>();
  #topics: readonly string[];
  #membership: Membership | undefined;
  #turn = 0;
  #over = false;
  #unwatch: (() => void) | undefined;

  constructor(
    context: SubscriptionContext,
    spec: GroupMemberSpec,
    nextAssignmentId: () => number,
    sink: SubscriptionSink,
    patterns: readonly string[],
  ) {
    this.context = context;
    this.sink = sink;
    this.#spec = spec;
    this.#nextAssignmentId = nextAssignmentId;
    this.#patterns = patterns;
    this.#topics = spec.topics;
  }

  get memberId(): string {
    return this.#spec.memberId;
  }

  get creditRecords(): number {
    return this.credit.records;
  }

  get creditBytes(): number {
    return this.credit.bytes;
  }

  async join(start: StartPosition): Promise<void> {
    const { context } = this;
    const patterns = this.#patterns;
    const named = this.#spec.topics;
    await Promise.all(named.map(context.resolveTopic));
    if (patterns.length > 0) this.#topics = union(named, await context.patterns.resolve(patterns));
    const spec = patterns.length === 0 ? this.#spec : { ...this.#spec, topics: this.#topics };
    this.#membership = await context.memberships.join(spec, start, this);
    if (this.#over) return;
    if (patterns.length > 0) {
      this.#unwatch = context.patterns.watch(patterns, (matching) => {
        const next = union(named, matching);
        // Without any topic left the member stays as it is: the group drops what is gone by itself.
        if (this.#over || next.length === 0 || next.join() === this.#topics.join()) return;
        this.#topics = next;
        void this.#membership?.setTopics(next);
      });
    }
    context.meter.subscriptions.add(this);
  }

  assigned(ownership: Ownership, claim: ClaimResult, life?: number): void {
    const item = new Assignment(this, this.#nextAssignmentId(), ownership, claim);
    const { assignmentId } = item;
    const { topic, partition, epoch } = ownership;
    const { endOffset } = claim;
    this.#byId.set(assignmentId, item);
    const told = { assignmentId, topic, partition, epoch, endOffset };
    if (life === undefined) this.sink.assigned({ ...told, position: claim.position });
    else this.sink.assigned({ ...told, position: firstOffset(claim), life });
    item.dispatcher.pump();
  }

  revoke(partition: TopicPartition): void {
    const item = this.#find(partition);
    if (item === undefined) {
      void this.#membership?.release([partition]);
      return;
    }
    item.dispatcher.pause();
    // What was fetched and not handed over yet goes to the next owner with the rest.
    if (item.dispatcher.heldRecords === 0) {
      void this.#giveBack([item], true);
      return;
    }
    const { revokeTimeoutMs } = this.context;
    item.deadline = setTimeout(() => void this.#giveBack([item], true), revokeTimeoutMs);
    this.sink.revoked(item.assignmentId, revokeTimeoutMs);
  }

  lost(partition: TopicPartition): void {
    const item = this.#find(partition);
    if (item !== undefined) this.#drop(item.assignmentId);
  }

  ended(error: GmqError): void {
    if (this.#over) return;
    this.#end();
    this.sink.ended(error);
    // Best effort: a session that cannot leave runs out by itself.
    const { group } = this.#spec;
    this.#membership
      ?.end({ leave: true })
      .catch((cause: unknown) => this.context.logger.warn("a member could not leave", { group, error: cause }));
  }

  readerLost({ assignmentId, ownership: { topic, partition, epoch } }: Assignment, error: GmqError): void {
    this.#drop(assignmentId);
    if (error.code === "fenced") this.#membership?.refused({ topic, partition }, epoch);
    // A topic may go: the others stay, and it may be made again.
    else if (error.code !== "topic_not_found") this.ended(error);
  }

  async reclaim(partition: TopicPartition): Promise<ClaimResult | undefined> {
    return this.#membership?.reclaim?.(partition);
  }

  grant(records: number, bytes: number): void {
    this.credit.grant(records, bytes);
    this.pump();
  }

  async settle(assignmentId: number, ranges: readonly SettleRange[]): Promise<readonly SettleRefusal[]> {
    const item = this.#byId.get(assignmentId);
    if (item === undefined) {
      throw new GmqError(
        "assignment_not_found",
        `there is no assignment ${assignmentId}: it was given back or never made`,
        { field: "assignment_id" },
      );
    }
    return item.dispatcher.settle(ranges);
  }

  async release(assignmentIds: readonly number[]): Promise<void> {
    const items = assignmentIds.flatMap((id) => this.#byId.get(id) ?? []);
    if (items.length > 0) await this.#giveBack(items, false);
  }

  owns(assignmentId: number): boolean {
    return this.#byId.has(assignmentId);
  }

  heldRecords(assignmentId?: number): number {
    if (assignmentId !== undefined) return this.#byId.get(assignmentId)?.dispatcher.heldRecords ?? 0;
    let held = 0;
    for (const { dispatcher } of this.#byId.values()) held += dispatcher.heldRecords;
    return held;
  }

  pump(): void {
    // Another dispatcher is first each time, so that a busy partition does not use up the credit of the others.
    const items = [...this.#byId.values()];
    this.#turn = items.length === 0 ? 0 : (this.#turn + 1) % items.length;
    for (let index = 0; index < items.length; index++) items[(this.#turn + index) % items.length]?.dispatcher.pump();
  }

  pause(): void {
    for (const { dispatcher } of this.#byId.values()) dispatcher.pause();
  }

  async close({ leave }: { readonly leave: boolean }): Promise<void> {
    this.#end();
    await this.#membership?.end({ leave });
  }

  /** Nothing is delivered any more, and nobody is told. */
  #end(): void {
    this.#over = true;
    this.#unwatch?.();
    this.context.meter.subscriptions.delete(this);
    for (const assignmentId of [...this.#byId.keys()]) this.#drop(assignmentId, false);
  }

  /** Takes an assignment away and tells the consumer, unless it knows. */
  #drop(assignmentId: number, tell = true): void {
    const item = this.#byId.get(assignmentId);
    if (item === undefined) return;
    this.#byId.delete(assignmentId);
    item.end();
    if (tell) this.sink.revoked(assignmentId, 0);
  }

  #find({ topic, partition }: TopicPartition): Assignment | undefined {
    for (const item of this.#byId.values())
      if (item.ownership.partition === partition && item.ownership.topic === topic) return item;
    return undefined;
  }

  #giveBack(items: readonly Assignment[], tell: boolean): Promise<void> {
    for (const { assignmentId } of items) this.#drop(assignmentId, tell);
    const partitions = items.map(({ ownership: { topic, partition } }) => ({ topic, partition }));
    return this.#membership?.release(partitions) ?? Promise.resolve();
  }
}

/** What is pending lies below the position, and is delivered first. */
function firstOffset({ position, pending: [first] }: ClaimResult): bigint {
  return first === undefined ? position : first.baseOffset + BigInt(first.states.indexOf("."));
}

function union(named: readonly string[], matching: readonly string[]): string[] {
  return [...new Set([...named, ...matching])].sort();
}
