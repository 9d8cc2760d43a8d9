/**
 * Consume and Settle for thin clients: a server stream of decoded records over the same subscription as sessions use. What is in flight is bounded by
 * `max_in_flight`: a settled record is the credit for the next.
 */

import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { checkName, decodeEntry, GmqError, limits, type PlacedRecord } from "@gmq/protocol";
import {
  type ConsumeRequest,
  type ConsumeResponse,
  ConsumeResponseSchema,
  type SettleRequest,
  SubscriptionMode,
} from "@gmq/protocol/messages";
import type { LogEntry, SettleRange, SettleRefusal, TopicPartition } from "@gmq/storage";
import { startFromMessage } from "@gmq/storage/wire";
import type { Caller } from "@gmq/transport";
import { requireGroup, requireTopic } from "./access/require.js";
import type { Delivery } from "./delivery.js";
import { checkGroup, settleRange } from "./messages.js";
import { openSubscription, type Subscription, type SubscriptionContext } from "./subscription.js";

/** The streams of thin clients that are open on this broker. */
export interface GatewayConsume {
  consume(request: ConsumeRequest, signal: AbortSignal, caller: Caller): AsyncGenerator<ConsumeResponse>;
  /** @throws GmqError `subscription_not_found` when the stream is not (any more) on this broker, and what `Subscription.settle` throws */
  settle(request: SettleRequest, caller: Caller): Promise<readonly SettleRefusal[]>;
}

const inFlightDefault = 100;
const inFlightMax = 10_000;
const heartbeatMs = 10_000;
const queueBytesMax = 4 * 1024 * 1024;

/** Makes the gateway's consuming side. */
export function createGatewayConsume(context: SubscriptionContext, brokerId: string): GatewayConsume {
  const streams = new Map<string, ThinStream>();

  async function* consume(
    request: ConsumeRequest,
    signal: AbortSignal,
    caller: Caller,
  ): AsyncGenerator<ConsumeResponse> {
    requireConsume(caller, request);
    const sessionId = `thin-${randomUUID()}`;
    const inFlight = request.maxInFlight === 0 ? inFlightDefault : request.maxInFlight;
    if (inFlight > inFlightMax) {
      throw new GmqError("invalid_argument", `max_in_flight is ${inFlight}`, {
        field: "max_in_flight",
        limit: `1 to ${inFlightMax} records`,
      });
    }
    const parts = partsOf(request.mode, context);
    yield response({ case: "started", value: { sessionId } });
    const queue = createDeliveryQueue();
    const places = new Map<number, TopicPartition>();
    const revoking = new Set<number>();
    let stream: ThinStream | undefined;
    const subscription = await openSubscription(
      { ...context, ...parts },
      memberSpec(request, sessionId, brokerId),
      startFromMessage(request.start),
      counter(),
      {
        assigned: ({ assignmentId, topic, partition }) => void places.set(assignmentId, { topic, partition }),
        revoked(assignmentId, deadlineMs) {
          if (deadlineMs > 0) {
            // A thin client is not told: what it has may be settled until the deadline, and the last one settled gives the partition back.
            revoking.add(assignmentId);
            return;
          }
          places.delete(assignmentId);
          revoking.delete(assignmentId);
          stream?.topUp();
        },
        deliver: (assignmentId, deliveries) => queue.push({ assignmentId, deliveries }),
        writable: () => true,
        ended: (error) => queue.end(error),
      },
    );
    const stop = (): void => queue.end(passedDeadline(signal.reason));
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    stream = createThinStream(subscription, places, revoking, inFlight, caller.name);
    streams.set(sessionId, stream);
    try {
      subscription.grant(inFlight, queueBytesMax);
      yield* records(queue, places, stream, request.autoAck, () => stillAllowed(caller, request));
    } finally {
      signal.removeEventListener("abort", stop);
      streams.delete(sessionId);
      await subscription.close({ leave: true });
    }
  }

  async function* records(
    queue: DeliveryQueue,
    places: ReadonlyMap<number, TopicPartition>,
    stream: ThinStream,
    autoAck: boolean,
    check: () => void,
  ): AsyncGenerator<ConsumeResponse> {
    for (;;) {
      check();
      const next = await queue.next(heartbeatMs);
      if (next === "ended") return;
      if (next === "quiet") {
        yield response({ case: "heartbeat", value: {} });
        continue;
      }
      const { assignmentId } = next;
      for (const delivery of next.deliveries) {
        const { entry } = delivery;
        const place = places.get(assignmentId);
        // At most once: acked before it goes out, and what could not be acked does not.
        if (place !== undefined && (!autoAck || (await stream.ack(assignmentId, [wholeOf(entry)])))) {
          const expired = createExpiredRanges();
          for await (const record of decodeEntry(entry))
            if (!expired.takes(record)) yield recordOf(record, place, assignmentId, delivery);
          if (!autoAck && expired.ranges.length > 0) await stream.ack(assignmentId, expired.ranges);
        }
        // Bytes bound what waits here; records bound what is not settled.
        stream.subscription.grant(0, entry.body.length);
      }
    }
  }

  return {
    consume,
    async settle({ sessionId, assignmentId, ranges }, caller) {
      const stream = streams.get(sessionId);
      if (stream === undefined || stream.callerName !== caller.name) {
        throw new GmqError("subscription_not_found", "the consume stream is not on this broker, or it has ended", {
          field: "session_id",
        });
      }
      if (ranges.length === 0 || ranges.length > limits.settleRangesPerFrameMax) {
        throw new GmqError("invalid_argument", `a settlement of ${ranges.length} ranges`, {
          field: "ranges",
          limit: `1 to ${limits.settleRangesPerFrameMax} ranges`,
        });
      }
      return stream.settle(assignmentId, ranges.map(settleRange));
    },
  };
}

/** A thin client's subscription with credit by what it holds: what is settled, however often it is said, frees its place once. */
interface ThinStream {
  /** Nobody else may settle what it was given. */
  readonly callerName: string;
  readonly subscription: Subscription;
  settle(assignmentId: number, ranges: readonly SettleRange[]): Promise<readonly SettleRefusal[]>;
  /** Acks what was delivered; false when it is somebody else's by now. */
  ack(assignmentId: number, ranges: readonly SettleRange[]): Promise<boolean>;
  /** Grants what is free. */
  topUp(): void;
}

function createThinStream(
  subscription: Subscription,
  places: Map<number, TopicPartition>,
  revoking: Set<number>,
  inFlight: number,
  callerName: string,
): ThinStream {
  function topUp(): void {
    const free = inFlight - subscription.heldRecords() - subscription.creditRecords;
    if (free > 0) subscription.grant(free, 0);
  }

  const stream: ThinStream = {
    callerName,
    subscription,
    topUp,
    async settle(assignmentId, ranges) {
      const refusals = await subscription.settle(assignmentId, ranges);
      if (revoking.has(assignmentId) && subscription.heldRecords(assignmentId) === 0) {
        revoking.delete(assignmentId);
        places.delete(assignmentId);
        await subscription.release([assignmentId]);
      }
      topUp();
      return refusals;
    },
    async ack(assignmentId, ranges) {
      try {
        return (await stream.settle(assignmentId, ranges)).length === 0;
      } catch (error) {
        if (GmqError.is(error, "fenced") || GmqError.is(error, "assignment_not_found")) return false;
        throw error;
      }
    },
  };
  return stream;
}

function wholeOf({ baseOffset, recordCount }: LogEntry): SettleRange {
  return { firstOffset: baseOffset, lastOffset: baseOffset + BigInt(recordCount) - 1n, verb: "ack" };
}

/** Gathers an entry's records whose time is over, by this broker's clock: they are acked, not sent. */
function createExpiredRanges(): { takes(record: PlacedRecord): boolean; readonly ranges: readonly SettleRange[] } {
  const ranges: { firstOffset: bigint; lastOffset: bigint; readonly verb: "ack" }[] = [];
  return {
    ranges,
    takes({ expiresAtMs, offset }) {
      if (expiresAtMs === 0 || Date.now() < expiresAtMs) return false;
      const last = ranges.at(-1);
      if (last !== undefined && last.lastOffset + 1n === offset) last.lastOffset = offset;
      else ranges.push({ firstOffset: offset, lastOffset: offset, verb: "ack" });
      return true;
    },
  };
}

function recordOf(
  { key, value, headers, timestampMs, offset, index }: PlacedRecord,
  place: TopicPartition,
  assignmentId: number,
  { attempts, handBacks }: Delivery,
): ConsumeResponse {
  const released = handBacks?.releases.find((item) => item.index === index)?.releases ?? 0;
  return response({
    case: "record",
    value: {
      ...place,
      offset,
      ...(key === undefined ? {} : { key }),
      value,
      headers: headers.map((header) => ({ ...header })),
      timestampMs: BigInt(timestampMs),
      attempts: attempts.find((item) => item.index === index)?.attempts ?? 0,
      handBacks: (handBacks?.takeOvers ?? 0) + released,
      assignmentId,
    },
  });
}

interface DeliveryQueue {
  push(item: { assignmentId: number; deliveries: readonly Delivery[] }): void;
  end(error: GmqError | undefined): void;
  /** The next deliveries; `quiet` when there are none for a while. @throws GmqError when the subscription ended with an error */
  next(quietMs: number): Promise<{ assignmentId: number; deliveries: readonly Delivery[] } | "quiet" | "ended">;
}

/** Deliveries on their way to a reader; bounded by the credit that the stream grants. */
function createDeliveryQueue(): DeliveryQueue {
  const items: { assignmentId: number; deliveries: readonly Delivery[] }[] = [];
  let over: { readonly error: GmqError | undefined } | undefined;
  let wake: (() => void) | undefined;
  return {
    push(item) {
      items.push(item);
      wake?.();
    },
    end(error) {
      over ??= { error };
      wake?.();
    },
    async next(quietMs) {
      if (items.length === 0 && over === undefined) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, quietMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = undefined;
      }
      if (over?.error !== undefined) throw over.error;
      if (over !== undefined) return "ended";
      return items.shift() ?? "quiet";
    },
  };
}

/** @throws GmqError `permission_denied` */
function requireConsume(caller: Caller, { group, topics }: ConsumeRequest): void {
  requireGroup(caller, "consume", group);
  for (const topic of topics) requireTopic(caller, "consume", topic);
}

/** A stream may live for long: whether its caller may still read is asked again with every delivery. @throws GmqError `unauthenticated`, `permission_denied` */
function stillAllowed(caller: Caller, request: ConsumeRequest): void {
  const problem = caller.problem();
  if (problem !== undefined) throw problem;
  requireConsume(caller, request);
}

/** @throws GmqError `invalid_argument`: settling tells nothing in broadcast, and a thin client has no place to resume from */
function partsOf(mode: SubscriptionMode, { desks }: SubscriptionContext): Partial<SubscriptionContext> {
  if (mode === SubscriptionMode.SHARED) return desks;
  if (mode === SubscriptionMode.UNSPECIFIED || mode === SubscriptionMode.EXCLUSIVE) return {};
  throw new GmqError("invalid_argument", `mode is ${mode}`, { field: "mode", limit: "1 exclusive, 2 shared" });
}

function memberSpec({ group, topics }: ConsumeRequest, sessionId: string, brokerId: string) {
  return {
    group: checkGroup(group),
    memberId: sessionId,
    incarnation: sessionId,
    clientId: "thin client",
    clientVersion: "",
    brokerId,
    topics: topics.map((topic) => checkName("topic", topic)),
    sessionTimeoutMs: limits.sessionTimeoutMsDefault,
    staticMember: false,
  };
}

/** A call whose deadline has passed says so, whichever side notices first; one that its caller ended just ends. */
function passedDeadline(reason: unknown): GmqError | undefined {
  if (ConnectError.from(reason).code !== Code.DeadlineExceeded) return undefined;
  return new GmqError("deadline_exceeded", "the caller's deadline has passed", { field: "timeout" });
}

function counter(): () => number {
  let last = 0;
  return () => ++last;
}

function response(event: NonNullable<MessageInitShape<typeof ConsumeResponseSchema>["event"]>): ConsumeResponse {
  return create(ConsumeResponseSchema, { event });
}
