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
import { createCredit } from "./credit.js";
import type { Delivery } from "./delivery.js";
import { createDispatcher, type Dispatcher, type DispatcherContext } from "./dispatcher.js";
import type { Dispatchers } from "./dispatchers.js";
import type { MemberEvents } from "./local-member.js";
import type { Membership } from "./membership.js";
import type { Meter } from "./meter.js";
import { type ConsumerSide, onlyTaker } from "./takers.js";
import type { TopicPatterns } from "./topic-patterns.js";
import type { Turn } from "./turn.js";

/** A partition that the consumer owns, under the number that later frames use. */
export interface AssignedPartition extends TopicPartition {
  readonly assignmentId: number;
  readonly epoch: number;
  readonly position: bigint;
  readonly endOffset: bigint;
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
  readonly patterns: Pick<TopicPatterns, "resolve" | "watch">;
  readonly meter: Meter;
  /** A consumer has this long to settle and give back what it is asked for. */
  readonly revokeTimeoutMs: number;
  /** The parts of shared mode. */
  readonly desks: SubscriptionParts;
}

/** What the reader of an assignment needs of its surroundings. */
export interface ReaderContext extends Omit<DispatcherContext, "takers"> {
  readonly consumer: ConsumerSide;
}

function readAlone({ consumer, ...context }: ReaderContext, claim: ClaimResult): Dispatcher {
  return createDispatcher({ ...context, takers: onlyTaker(consumer) }, claim);
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

interface Assigned {
  readonly assignmentId: number;
  readonly partition: TopicPartition;
  readonly dispatcher: Dispatcher;
  readonly forget: () => void;
  deadline: NodeJS.Timeout | undefined;
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
  const credit = createCredit();
  const byId = new Map<number, Assigned>();
  let membership: Membership | undefined;
  let turn = 0;
  let over = false;
  let unwatch = (): void => undefined;
  const named = spec.topics;
  let topics = named;

  function assigned(ownership: Ownership, claim: ClaimResult): void {
    const assignmentId = nextAssignmentId();
    const { topic, partition, epoch } = ownership;
    const dispatcher = (context.read ?? readAlone)(
      {
        ownership,
        consumer: {
          memberId: spec.memberId,
          credit,
          deliver(deliveries, endOffset) {
            countDelivered(context.meter, deliveries);
            sink.deliver(assignmentId, deliveries, endOffset);
          },
          writable: () => sink.writable(),
        },
        log: context.log,
        fetch: context.fetch,
        follow: context.follow,
        settle: context.settle,
        reclaim: async () => membership?.reclaim?.({ topic, partition }),
        lost: (error) => {
          drop(assignmentId);
          // One of several topics may go; the others stay.
          const isOneOfMany = error.code === "topic_not_found" && (topics.length > 1 || patterns.length > 0);
          if (error.code === "fenced") membership?.refused({ topic, partition }, epoch);
          else if (!isOneOfMany) finish(error);
        },
      },
      claim,
    );
    const forget = context.dispatchers.add({ topic, partition }, dispatcher);
    byId.set(assignmentId, { assignmentId, partition: { topic, partition }, dispatcher, forget, deadline: undefined });
    sink.assigned({ assignmentId, topic, partition, epoch, position: claim.position, endOffset: claim.endOffset });
    dispatcher.pump();
  }

  /** Takes an assignment away and tells the consumer, unless it knows. */
  function drop(assignmentId: number, tell = true): void {
    const item = byId.get(assignmentId);
    if (item === undefined) return;
    byId.delete(assignmentId);
    clearTimeout(item.deadline);
    item.forget();
    item.dispatcher.stop();
    if (tell) sink.revoked(assignmentId, 0);
  }

  function find({ topic, partition }: TopicPartition): Assigned | undefined {
    for (const item of byId.values())
      if (item.partition.partition === partition && item.partition.topic === topic) return item;
    return undefined;
  }

  function revoke(partition: TopicPartition): void {
    const item = find(partition);
    if (item === undefined) {
      void membership?.release([partition]);
      return;
    }
    item.dispatcher.pause();
    // What was fetched and not handed over yet goes to the next owner with the rest.
    if (item.dispatcher.heldRecords === 0) {
      void giveBack([item], true);
      return;
    }
    item.deadline = setTimeout(() => void giveBack([item], true), context.revokeTimeoutMs);
    sink.revoked(item.assignmentId, context.revokeTimeoutMs);
  }

  function giveBack(items: readonly Assigned[], tell: boolean): Promise<void> {
    for (const { assignmentId } of items) drop(assignmentId, tell);
    return membership?.release(items.map(({ partition }) => partition)) ?? Promise.resolve();
  }

  function finish(error: GmqError): void {
    if (over) return;
    over = true;
    unwatch();
    context.meter.subscriptions.delete(subscription);
    for (const assignmentId of [...byId.keys()]) drop(assignmentId, false);
    sink.ended(error);
    // Best effort: a session that cannot leave runs out by itself.
    membership
      ?.end({ leave: true })
      .catch((cause: unknown) => context.logger.warn("a member could not leave", { group: spec.group, error: cause }));
  }

  function pump(): void {
    // Another dispatcher is first each time, so that a busy partition does not use up the credit of the others.
    const items = [...byId.values()];
    turn = items.length === 0 ? 0 : (turn + 1) % items.length;
    for (let index = 0; index < items.length; index++) items[(turn + index) % items.length]?.dispatcher.pump();
  }

  const subscription: Subscription = {
    grant(records, bytes) {
      credit.grant(records, bytes);
      pump();
    },
    async settle(assignmentId, ranges) {
      const item = byId.get(assignmentId);
      if (item === undefined) {
        throw new GmqError(
          "assignment_not_found",
          `there is no assignment ${assignmentId}: it was given back or never made`,
          { field: "assignment_id" },
        );
      }
      return item.dispatcher.settle(ranges);
    },
    async release(assignmentIds) {
      const items = assignmentIds.flatMap((id) => byId.get(id) ?? []);
      if (items.length > 0) await giveBack(items, false);
    },
    owns: (assignmentId) => byId.has(assignmentId),
    heldRecords(assignmentId) {
      if (assignmentId !== undefined) return byId.get(assignmentId)?.dispatcher.heldRecords ?? 0;
      let held = 0;
      for (const { dispatcher } of byId.values()) held += dispatcher.heldRecords;
      return held;
    },
    get creditRecords() {
      return credit.records;
    },
    get creditBytes() {
      return credit.bytes;
    },
    pump,
    pause() {
      for (const { dispatcher } of byId.values()) dispatcher.pause();
    },
    async close({ leave }) {
      over = true;
      unwatch();
      context.meter.subscriptions.delete(subscription);
      for (const assignmentId of [...byId.keys()]) drop(assignmentId, false);
      await membership?.end({ leave });
    },
  };

  await Promise.all(named.map(context.resolveTopic));
  topics = patterns.length === 0 ? named : union(named, await context.patterns.resolve(patterns));
  membership = await context.memberships.join({ ...spec, topics }, start, {
    assigned,
    revoke,
    lost: (partition) => {
      const item = find(partition);
      if (item !== undefined) drop(item.assignmentId);
    },
    ended: finish,
  });

  if (patterns.length > 0 && !over) {
    unwatch = context.patterns.watch(patterns, (matching) => {
      const next = union(named, matching);
      // Without any topic left the member stays as it is: the group drops what is gone by itself.
      if (over || next.length === 0 || next.join() === topics.join()) return;
      topics = next;
      void membership?.setTopics(topics);
    });
  }

  if (!over) context.meter.subscriptions.add(subscription);
  return subscription;
}

function countDelivered(meter: Meter, deliveries: readonly Delivery[]): void {
  for (const { entry } of deliveries) {
    meter.deliveredRecords += entry.recordCount;
    meter.deliveredBytes += entry.body.length;
  }
}

function union(named: readonly string[], matching: readonly string[]): string[] {
  return [...new Set([...named, ...matching])].sort();
}
