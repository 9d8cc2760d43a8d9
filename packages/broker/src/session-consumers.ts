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
import { createBroadcast } from "./broadcast.js";
import { checkGroup, settleRange } from "./messages.js";
import type { ServerFrame } from "./session-response.js";
import {
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

interface Consumer {
  readonly staticMember: boolean;
  readonly sessionTimeoutMs: number;
  readonly request: Subscribe;
  readonly patterns: AllowedPatterns;
  /** Undefined while it joins. */
  subscription: Subscription | undefined;
  /** Credit that came while it joined. */
  readonly early: Credit[];
}

const earlyGrantsMax = 16;

/** Makes the consuming half of a session. */
export function createSessionConsumers(context: ConsumersContext): SessionConsumers {
  const consumers = new Map<number, Consumer>();
  let lastAssignmentId = 0;
  let closed = false;

  function find(subscriptionId: number): Consumer {
    const consumer = consumers.get(subscriptionId);
    if (consumer !== undefined) return consumer;
    throw new GmqError("subscription_not_found", `there is no subscription ${subscriptionId}`, {
      field: "subscription_id",
    });
  }

  function owner(assignmentId: number): Subscription {
    for (const { subscription } of consumers.values())
      if (subscription?.owns(assignmentId) === true) return subscription;
    throw new GmqError(
      "assignment_not_found",
      `there is no assignment ${assignmentId}: it was given back or never made`,
      { field: "assignment_id" },
    );
  }

  function sinkOf(subscriptionId: number): SubscriptionSink {
    return {
      assigned: ({ epoch, ...assignment }) =>
        context.push({
          case: "assigned",
          value: { subscriptionId, assignments: [{ ...assignment, epoch: BigInt(epoch) }] },
        }),
      revoked: (assignmentId, deadlineMs) =>
        context.push({ case: "revoked", value: { subscriptionId, assignmentIds: [assignmentId], deadlineMs } }),
      deliver: (assignmentId, deliveries, endOffset) =>
        context.push({
          case: "deliver",
          value: {
            assignmentId,
            endOffset,
            entries: deliveries.map(({ entry, attempts, handBacks }) => ({
              entry,
              attempts: [...attempts],
              ...(handBacks === undefined
                ? {}
                : { handBacks: { takeOvers: handBacks.takeOvers, releases: [...handBacks.releases] } }),
            })),
          },
        }),
      writable: context.writable,
      ended(error) {
        consumers.delete(subscriptionId);
        context.push({ case: "subscriptionEnded", value: { subscriptionId, error: errorToMessage(error) } });
      },
    };
  }

  /** @throws GmqError `permission_denied` */
  function requireConsume({ group, topics }: Subscribe): void {
    requireGroup(context.caller, "consume", group);
    for (const topic of topics) requireTopic(context.caller, "consume", topic);
  }

  function recheck(subscriptionId: number, { request, patterns, subscription }: Consumer): void {
    try {
      requireConsume(request);
      if (patterns.recheck()) return;
      throw denied(context.caller, "consume", "topic", request.topicPatterns.join(", "));
    } catch (error) {
      sinkOf(subscriptionId).ended(GmqError.from(error));
      subscription
        ?.close({ leave: true })
        .catch((cause: unknown) => context.subscriptions.logger.warn("a member could not leave", { error: cause }));
    }
  }

  return {
    async subscribe(request) {
      const { subscriptionId, staticMember } = request;
      check(request);
      requireConsume(request);
      if (consumers.has(subscriptionId)) {
        throw new GmqError("already_subscribed", `the session has a subscription ${subscriptionId}`, {
          field: "subscription_id",
        });
      }
      if (consumers.size >= limits.subscriptionsPerSessionMax) {
        throw new GmqError("resource_exhausted", "the session has too many subscriptions", {
          field: "subscription_id",
          limit: `${limits.subscriptionsPerSessionMax} subscriptions`,
        });
      }
      const sessionTimeoutMs = timeoutOf(request);
      const patterns = allowedPatterns(context.subscriptions.patterns, context.caller);
      const consumer: Consumer = {
        staticMember,
        sessionTimeoutMs,
        request,
        patterns,
        subscription: undefined,
        early: [],
      };
      consumers.set(subscriptionId, consumer);
      try {
        const spec = memberSpec(request, context);
        const { subscriptions } = context;
        const subscription = await openSubscription(
          { ...subscriptions, ...partsOf(request, subscriptions), patterns },
          spec,
          startFromMessage(request.start),
          () => ++lastAssignmentId,
          sinkOf(subscriptionId),
          request.topicPatterns,
        );
        consumer.subscription = subscription;
        if (closed) await subscription.close({ leave: !staticMember });
        else if (consumers.get(subscriptionId) !== consumer) {
          await subscription.close({ leave: true });
          throw new GmqError("cancelled", "the subscription was ended before it had joined");
        }
        for (const { records, bytes } of consumer.early.splice(0)) subscription.grant(records, bytes);
        return { case: "subscribed", value: { subscriptionId, memberId: spec.memberId } };
      } catch (error) {
        if (consumers.get(subscriptionId) === consumer) consumers.delete(subscriptionId);
        throw error;
      }
    },

    async unsubscribe(subscriptionId) {
      const consumer = find(subscriptionId);
      consumers.delete(subscriptionId);
      await consumer.subscription?.close({ leave: true });
      return { case: "unsubscribed", value: { subscriptionId } };
    },

    grant(credit) {
      const { subscription, early } = find(credit.subscriptionId);
      if (subscription !== undefined) subscription.grant(credit.records, credit.bytes);
      else if (early.length < earlyGrantsMax) early.push(credit);
      else
        throw new GmqError("resource_exhausted", "too many grants before the subscription was answered", {
          field: "credit",
          limit: `${earlyGrantsMax} grants`,
        });
    },

    async settle({ assignmentId, ranges }) {
      if (ranges.length === 0 || ranges.length > limits.settleRangesPerFrameMax) {
        throw new GmqError("invalid_argument", `a settlement of ${ranges.length} ranges`, {
          field: "ranges",
          limit: `1 to ${limits.settleRangesPerFrameMax} ranges`,
        });
      }
      const refusals = await owner(assignmentId).settle(assignmentId, ranges.map(settleRange));
      return { case: "settled", value: { assignmentId, refusals: refusals.map(refusalToMessage) } };
    },

    async release({ subscriptionId, assignmentIds }) {
      await find(subscriptionId).subscription?.release(assignmentIds);
      return { case: "released", value: { subscriptionId } };
    },

    sessionTimeoutMsMin() {
      let shortest = Number.POSITIVE_INFINITY;
      for (const { sessionTimeoutMs } of consumers.values()) shortest = Math.min(shortest, sessionTimeoutMs);
      return shortest;
    },
    heldRecords() {
      let held = 0;
      for (const { subscription } of consumers.values()) held += subscription?.heldRecords() ?? 0;
      return held;
    },

    pump() {
      for (const { subscription } of consumers.values()) subscription?.pump();
    },
    pause() {
      for (const { subscription } of consumers.values()) subscription?.pause();
    },
    recheck() {
      for (const [subscriptionId, consumer] of [...consumers]) recheck(subscriptionId, consumer);
    },
    async close({ clean }) {
      closed = true;
      const all = [...consumers.values()];
      consumers.clear();
      await Promise.allSettled(
        all.map(async ({ subscription, staticMember }) => subscription?.close({ leave: clean || !staticMember })),
      );
    },
  };
}

function check({ subscriptionId, mode, topics }: Subscribe): void {
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
}

const modes: ReadonlySet<SubscriptionMode> = new Set([
  SubscriptionMode.UNSPECIFIED,
  SubscriptionMode.EXCLUSIVE,
  SubscriptionMode.SHARED,
  SubscriptionMode.BROADCAST,
]);

/** What the mode changes of a subscription. @throws GmqError `invalid_argument` */
function partsOf(request: Subscribe, subscriptions: SubscriptionContext): Partial<SubscriptionContext> {
  if (request.mode === SubscriptionMode.SHARED) return subscriptions.desks;
  if (request.mode === SubscriptionMode.BROADCAST) return createBroadcast(subscriptions, positionsOf(request));
  return {};
}

/** @throws GmqError `invalid_argument` for a negative offset */
function positionsOf({ positions }: Subscribe): Map<string, bigint> {
  const negative = positions.find(({ offset }) => offset < 0n);
  if (negative !== undefined) {
    throw new GmqError("invalid_argument", `offset is ${negative.offset}`, {
      field: "positions.offset",
      limit: "0 or more",
    });
  }
  return new Map(positions.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]));
}

function memberSpec(
  request: Subscribe,
  { sessionId, brokerId, clientId, clientVersion }: ConsumersContext,
): GroupMemberSpec {
  const { subscriptionId, group, topics, memberId, staticMember } = request;
  return {
    group: checkGroup(group),
    memberId: memberId === "" ? `${sessionId}-${subscriptionId}` : checkMemberId(memberId),
    incarnation: `${sessionId}-${subscriptionId}`,
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
