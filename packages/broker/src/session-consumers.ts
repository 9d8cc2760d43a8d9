/** The consuming half of a session: its subscriptions by number, and the frames that they send. */
import { checkName, GmqError, limits } from "@gmq/protocol";
import {
  type Credit,
  type ReleasePartitions,
  type Settlement,
  type Subscribe,
  SubscriptionMode,
} from "@gmq/protocol/messages";
import type { GroupMemberSpec } from "@gmq/storage";
import { refusalToMessage, startFromMessage } from "@gmq/storage/wire";
import { type Caller, errorToMessage } from "@gmq/transport";
import { type AllowedPatterns, allowedPatterns } from "./access/allowed-patterns.js";
import { denied, requireGroup, requireTopic } from "./access/require.js";
import { createBroadcast, type ResumePoint } from "./broadcast.js";
import type { Delivery } from "./delivery.js";
import { checkGroup, settleRange } from "./messages.js";
import type { ServerFrame } from "./session-response.js";
import {
  type AssignedPartition,
  openSubscription,
  type Subscription,
  type SubscriptionContext,
  type SubscriptionSink,
} from "./subscription.js";

/** What the consuming half needs of its session. */
export interface ConsumersContext {
  readonly caller: Caller;
  readonly subscriptions: SubscriptionContext;
  readonly sessionId: string;
  readonly brokerId: string;
  readonly clientId: string;
  readonly clientVersion: string;
  push(frame: ServerFrame): void;
  writable(): boolean;
}

export interface SessionConsumers {
  subscribe(request: Subscribe): Promise<ServerFrame>;
  unsubscribe(subscriptionId: number): Promise<ServerFrame>;
  /** @throws GmqError `subscription_not_found`, `invalid_argument` */
  grant(credit: Credit): void;
  settle(settlement: Settlement): Promise<ServerFrame>;
  release(request: ReleasePartitions): Promise<ServerFrame>;
  /** The shortest of the subscriptions' session timeouts; Infinity without any. */
  sessionTimeoutMsMin(): number;
  /** Records that are with the client now. */
  heldRecords(): number;
  /** The stream has room again. */
  pump(): void;
  /** Stops delivery; what is in flight may still be settled. */
  pause(): void;
  /** The caller's rights changed: ends what it may not consume any more. */
  recheck(): void;
  /** Ends all; static members are left to their session timeout when the stream broke. */
  close(options: { readonly clean: boolean }): Promise<void>;
}

const earlyGrantsMax = 16;

/** Makes the consuming half of a session. */
export function createSessionConsumers(context: ConsumersContext): SessionConsumers {
  return new NumberedConsumers(context);
}

/** One subscription of the session, as its client knows it. A class, as a dispatcher is one. */
class Consumer implements SubscriptionSink {
  readonly subscriptionId: number;
  readonly request: Subscribe;
  /** Undefined: it names all its topics. */
  readonly patterns: AllowedPatterns | undefined;
  readonly #context: ConsumersContext;
  readonly #all: Map<number, Consumer>;
  /** Undefined while it joins. */
  subscription: Subscription | undefined;
  /** Credit that came while it joined. */
  early: Credit[] | undefined;

  constructor(context: ConsumersContext, all: Map<number, Consumer>, request: Subscribe) {
    this.#context = context;
    this.#all = all;
    this.subscriptionId = request.subscriptionId;
    this.request = request;
    if (request.topicPatterns.length > 0)
      this.patterns = allowedPatterns(context.subscriptions.patterns, context.caller);
  }

  assigned({ epoch, life = 0, ...assignment }: AssignedPartition): void {
    const { subscriptionId } = this;
    const assignments = [{ ...assignment, epoch: BigInt(epoch), life: BigInt(life) }];
    this.#context.push({ case: "assigned", value: { subscriptionId, assignments } });
  }

  revoked(assignmentId: number, deadlineMs: number): void {
    const { subscriptionId } = this;
    this.#context.push({ case: "revoked", value: { subscriptionId, assignmentIds: [assignmentId], deadlineMs } });
  }

  deliver(assignmentId: number, deliveries: readonly Delivery[], endOffset: bigint): void {
    const entries = deliveries.map(({ entry, attempts, handBacks }) => ({
      entry,
      attempts: [...attempts],
      ...(handBacks === undefined
        ? {}
        : { handBacks: { takeOvers: handBacks.takeOvers, releases: [...handBacks.releases] } }),
    }));
    this.#context.push({ case: "deliver", value: { assignmentId, endOffset, entries } });
  }

  writable(): boolean {
    return this.#context.writable();
  }

  ended(error: GmqError): void {
    const { subscriptionId } = this;
    this.#all.delete(subscriptionId);
    this.#context.push({ case: "subscriptionEnded", value: { subscriptionId, error: errorToMessage(error) } });
  }

  grant(credit: Credit): void {
    if (this.subscription !== undefined) {
      this.subscription.grant(credit.records, credit.bytes);
      return;
    }
    this.early ??= [];
    if (this.early.length < earlyGrantsMax) this.early.push(credit);
    else
      throw new GmqError("resource_exhausted", "too many grants before the subscription was answered", {
        field: "credit",
        limit: `${earlyGrantsMax} grants`,
      });
  }

  /** The caller's rights changed: ends it when it may not go on. */
  recheck(): void {
    try {
      requireConsume(this.#context.caller, this.request);
      if (this.patterns?.recheck() !== false) return;
      throw denied(this.#context.caller, "consume", "topic", this.request.topicPatterns.join(", "));
    } catch (error) {
      this.ended(GmqError.from(error));
      const { logger } = this.#context.subscriptions;
      this.subscription
        ?.close({ leave: true })
        .catch((cause: unknown) => logger.warn("a member could not leave", { error: cause }));
    }
  }
}

class NumberedConsumers implements SessionConsumers {
  readonly #context: ConsumersContext;
  readonly #all = new Map<number, Consumer>();
  #lastAssignmentId = 0;
  #closed = false;

  constructor(context: ConsumersContext) {
    this.#context = context;
  }

  async subscribe(request: Subscribe): Promise<ServerFrame> {
    const context = this.#context;
    const { subscriptions } = context;
    const { subscriptionId, staticMember } = request;
    check(request);
    requireConsume(context.caller, request);
    if (this.#all.has(subscriptionId)) {
      throw new GmqError("already_subscribed", `the session has a subscription ${subscriptionId}`, {
        field: "subscription_id",
      });
    }
    if (this.#all.size >= limits.subscriptionsPerSessionMax) {
      throw new GmqError("resource_exhausted", "the session has too many subscriptions", {
        field: "subscription_id",
        limit: `${limits.subscriptionsPerSessionMax} subscriptions`,
      });
    }
    const consumer = new Consumer(context, this.#all, request);
    this.#all.set(subscriptionId, consumer);
    try {
      const spec = memberSpec(request, context);
      const { patterns } = consumer;
      const subscription = await openSubscription(
        patterns === undefined ? contextOf(request, subscriptions) : { ...contextOf(request, subscriptions), patterns },
        spec,
        startFromMessage(request.start),
        () => ++this.#lastAssignmentId,
        consumer,
        request.topicPatterns,
      );
      consumer.subscription = subscription;
      if (this.#closed) await subscription.close({ leave: !staticMember });
      else if (this.#all.get(subscriptionId) !== consumer) {
        await subscription.close({ leave: true });
        throw new GmqError("cancelled", "the subscription was ended before it had joined");
      }
      for (const { records, bytes } of consumer.early ?? []) subscription.grant(records, bytes);
      consumer.early = undefined;
      return { case: "subscribed", value: { subscriptionId, memberId: spec.memberId } };
    } catch (error) {
      if (this.#all.get(subscriptionId) === consumer) this.#all.delete(subscriptionId);
      throw error;
    }
  }

  async unsubscribe(subscriptionId: number): Promise<ServerFrame> {
    const consumer = this.#find(subscriptionId);
    this.#all.delete(subscriptionId);
    await consumer.subscription?.close({ leave: true });
    return { case: "unsubscribed", value: { subscriptionId } };
  }

  grant(credit: Credit): void {
    this.#find(credit.subscriptionId).grant(credit);
  }

  async settle({ assignmentId, ranges }: Settlement): Promise<ServerFrame> {
    if (ranges.length === 0 || ranges.length > limits.settleRangesPerFrameMax) {
      throw new GmqError("invalid_argument", `a settlement of ${ranges.length} ranges`, {
        field: "ranges",
        limit: `1 to ${limits.settleRangesPerFrameMax} ranges`,
      });
    }
    const refusals = await this.#owner(assignmentId).settle(assignmentId, ranges.map(settleRange));
    return { case: "settled", value: { assignmentId, refusals: refusals.map(refusalToMessage) } };
  }

  async release({ subscriptionId, assignmentIds }: ReleasePartitions): Promise<ServerFrame> {
    await this.#find(subscriptionId).subscription?.release(assignmentIds);
    return { case: "released", value: { subscriptionId } };
  }

  sessionTimeoutMsMin(): number {
    let shortest = Number.POSITIVE_INFINITY;
    for (const { request } of this.#all.values()) shortest = Math.min(shortest, timeoutOf(request));
    return shortest;
  }

  heldRecords(): number {
    let held = 0;
    for (const { subscription } of this.#all.values()) held += subscription?.heldRecords() ?? 0;
    return held;
  }

  pump(): void {
    for (const { subscription } of this.#all.values()) subscription?.pump();
  }

  pause(): void {
    for (const { subscription } of this.#all.values()) subscription?.pause();
  }

  recheck(): void {
    for (const consumer of [...this.#all.values()]) consumer.recheck();
  }

  async close({ clean }: { readonly clean: boolean }): Promise<void> {
    this.#closed = true;
    const all = [...this.#all.values()];
    this.#all.clear();
    await Promise.allSettled(
      all.map(async ({ subscription, request }) => subscription?.close({ leave: clean || !request.staticMember })),
    );
  }

  #find(subscriptionId: number): Consumer {
    const consumer = this.#all.get(subscriptionId);
    if (consumer !== undefined) return consumer;
    throw new GmqError("subscription_not_found", `there is no subscription ${subscriptionId}`, {
      field: "subscription_id",
    });
  }

  #owner(assignmentId: number): Subscription {
    for (const { subscription } of this.#all.values())
      if (subscription?.owns(assignmentId) === true) return subscription;
    throw new GmqError(
      "assignment_not_found",
      `there is no assignment ${assignmentId}: it was given back or never made`,
      { field: "assignment_id" },
    );
  }
}

/** @throws GmqError `permission_denied` */
function requireConsume(caller: Caller, { group, topics }: Subscribe): void {
  requireGroup(caller, "consume", group);
  for (const topic of topics) requireTopic(caller, "consume", topic);
}

/** @throws GmqError `invalid_argument`, `already_subscribed` naming the field */
function check(request: Subscribe): void {
  const { subscriptionId, mode, topics } = request;
  if (subscriptionId === 0)
    throw new GmqError("invalid_argument", "the subscription has no number", {
      field: "subscription_id",
      limit: "1 or more",
    });
  if (!modes.has(mode)) {
    throw new GmqError("invalid_argument", `mode ${mode} is not known`, {
      field: "mode",
      limit: "1 exclusive, 2 shared, 3 broadcast",
    });
  }
  if (new Set(topics).size !== topics.length)
    throw new GmqError("already_subscribed", "a topic is named twice", { field: "topics" });
  const { sessionTimeoutMsMin, sessionTimeoutMsMax } = limits;
  const timeoutMs = timeoutOf(request);
  // Here, not with the store: the session goes by it from now on, and a broadcast has no member there.
  if (timeoutMs < sessionTimeoutMsMin || timeoutMs > sessionTimeoutMsMax) {
    throw new GmqError("invalid_argument", `session_timeout_ms is ${timeoutMs}`, {
      field: "session_timeout_ms",
      limit: `${sessionTimeoutMsMin} to ${sessionTimeoutMsMax} ms`,
    });
  }
}

const modes: ReadonlySet<SubscriptionMode> = new Set([
  SubscriptionMode.UNSPECIFIED,
  SubscriptionMode.EXCLUSIVE,
  SubscriptionMode.SHARED,
  SubscriptionMode.BROADCAST,
]);

/** What a subscription of this mode has to do with; the broker's own where nothing is different. @throws GmqError `invalid_argument` */
function contextOf(request: Subscribe, subscriptions: SubscriptionContext): SubscriptionContext {
  if (request.mode === SubscriptionMode.SHARED) return { ...subscriptions, ...subscriptions.desks };
  if (request.mode === SubscriptionMode.BROADCAST)
    return { ...subscriptions, ...createBroadcast(subscriptions, positionsOf(request)) };
  return subscriptions;
}

/** @throws GmqError `invalid_argument` for a negative offset */
function positionsOf({ positions }: Subscribe): Map<string, ResumePoint> {
  const negative = positions.find(({ offset }) => offset < 0n);
  if (negative !== undefined) {
    throw new GmqError("invalid_argument", `offset is ${negative.offset}`, {
      field: "positions.offset",
      limit: "0 or more",
    });
  }
  return new Map(
    positions.map(({ topic, partition, offset, life }) => [`${topic}/${partition}`, { offset, life: Number(life) }]),
  );
}

function memberSpec(
  request: Subscribe,
  { sessionId, brokerId, clientId, clientVersion }: ConsumersContext,
): GroupMemberSpec {
  const { subscriptionId, group, topics, memberId, staticMember } = request;
  const incarnation = `${sessionId}-${subscriptionId}`;
  return {
    group: checkGroup(group),
    memberId: memberId === "" ? incarnation : checkMemberId(memberId),
    incarnation,
    clientId,
    clientVersion,
    brokerId,
    topics: topics.map((topic) => checkName("topic", topic)),
    sessionTimeoutMs: timeoutOf(request),
    staticMember,
  };
}

/** @throws GmqError `invalid_name` */
function checkMemberId(memberId: string): string {
  if (!memberId.startsWith(ownMembersPrefix)) return checkName("member_id", memberId);
  throw new GmqError("invalid_name", `member_id ${JSON.stringify(memberId)} is one of the brokers' own`, {
    field: "member_id",
    limit: `no ${ownMembersPrefix}`,
  });
}

/** Members that brokers add themselves: desks. */
const ownMembersPrefix = "gmq.";

function timeoutOf({ sessionTimeoutMs }: Subscribe): number {
  return sessionTimeoutMs === 0 ? limits.sessionTimeoutMsDefault : sessionTimeoutMs;
}
