import type { MessageInitShape } from "@bufbuild/protobuf";
import { type StartPositionSchema, SubscriptionMode } from "@gmq/protocol/messages";
import { checkName, GmqError, isTopicPattern, limits, topicPattern } from "@gmq/protocol/portable";
import { checkObject, checkOffset, inRange, momentMs, oneOf } from "./checked-values.js";

/**
 * Where a NEW group begins; a group that exists goes on where it is. An offset means each partition of the topic: before the first kept record it means that one, past the end the
 * end (`latest`). A reset to an offset past the end is refused.
 */
export type Start = "earliest" | "latest" | { readonly offset: bigint } | { readonly timestamp: Date | number };

/** What every kind of consumer takes. */
export interface ConsumerOptions {
  /** Consumers of one group share the partitions of a topic. */
  readonly group: string;
  /**
   * `exclusive` (default): each partition has one consumer of the group, which keeps the order of keys. `shared`: a work queue: any number of consumers take records of the
   * same partitions, whoever has room; no order between them. A group is one or the other while it has members. `broadcast`: every consumer gets everything; nothing of it is kept in the store, `group`
   * is only shown to operators, and after a lost connection it goes on where it was.
   */
  readonly mode?: ConsumerMode;
  /** Default `earliest`. */
  readonly start?: Start;
  /** Records and bytes that may be delivered and not handled; default 5,000 records (shared: as many as handlers run at once, 100 without handlers; more to hide the way to the broker) and 16 MiB. */
  readonly maxInFlight?: { readonly records?: number; readonly bytes?: number };
  /** Silence after which the group passes this consumer's partitions on; 1,000 to 600,000 ms, default 10,000. Kept up in the background, whatever handlers await; a consumer whose connection ends passes them on at once. */
  readonly sessionTimeoutMs?: number;
  /**
   * A name of its own, unique in the group, makes the consumer a static member: when its connection breaks it has `sessionTimeoutMs` to come back to its
   * partitions. Default: random, then a broken connection passes them on at once.
   */
  readonly memberId?: string;
  /**
   * What becomes of a record whose value does not fit the topic's schema (or codec): `deadLetter` (default) rejects it with the reason "schema invalid", `skip` acks
   * it, `fail` ends the consumer with `schema_invalid` and leaves the record unsettled.
   */
  readonly onInvalid?: OnInvalid;
  /** So long without a record done, while some are held or there is no session, is told as a `stalled` event; 1,000 to 86,400,000 ms, default 60,000, `false`: never. */
  readonly stallMs?: number | false;
}

export type ConsumerMode = "exclusive" | "shared" | "broadcast";

/** What becomes of a record whose value cannot be read. */
export type OnInvalid = "fail" | "skip" | "deadLetter";

export interface ConsumerSettings {
  readonly group: string;
  readonly mode: ConsumerMode;
  readonly start: WireStart;
  readonly records: number;
  readonly bytes: number;
  readonly sessionTimeoutMs: number;
  readonly memberId: string | undefined;
  readonly stallMs: number | false;
}

/** Modes as the wire has them. */
export const wireModes: Readonly<Record<ConsumerMode, SubscriptionMode>> = {
  exclusive: SubscriptionMode.EXCLUSIVE,
  shared: SubscriptionMode.SHARED,
  broadcast: SubscriptionMode.BROADCAST,
};

/** Checks what the user gave. @throws GmqError `invalid_argument`, `invalid_name` */
export function checkConsumer(topics: readonly string[], options: ConsumerOptions): ConsumerSettings {
  const {
    group,
    mode = "exclusive",
    start = "earliest",
    maxInFlight = {},
    sessionTimeoutMs = limits.sessionTimeoutMsDefault,
    memberId,
    onInvalid = "deadLetter",
    stallMs = 60_000,
  } = options;
  oneOf("onInvalid", onInvalid, ["fail", "skip", "deadLetter"]);
  oneOf("mode", mode, Object.keys(wireModes));
  checkObject("maxInFlight", maxInFlight);
  const { records = mode === "shared" ? 100 : 5_000, bytes = 16 * 1024 * 1024 } = maxInFlight;
  checkName("group", group);
  if (memberId !== undefined) checkName("member_id", memberId);
  if (topics.length === 0)
    throw new GmqError("invalid_argument", "no topic to subscribe to", { field: "topics", limit: "1 topic or more" });
  for (const topic of topics) {
    if (isTopicPattern(topic)) topicPattern(topic);
    else checkName("topic", topic);
  }
  inRange("maxInFlight.records", records, 1, limits.creditRecordsMax);
  inRange("maxInFlight.bytes", bytes, 1, limits.creditBytesMax);
  if (stallMs !== false) inRange("stallMs", stallMs, 1_000, 86_400_000);
  inRange("sessionTimeoutMs", sessionTimeoutMs, limits.sessionTimeoutMsMin, limits.sessionTimeoutMsMax);
  return { group, mode, start: startOf("start", start), records, bytes, sessionTimeoutMs, memberId, stallMs };
}

/** A start position as the wire has it. */
type WireStart = MessageInitShape<typeof StartPositionSchema>;

/** A start position, which the user gave as `field`, as the wire has it. @throws GmqError `invalid_argument` */
export function startOf(field: string, start: Start): WireStart {
  if (start === "earliest") return { position: { case: "earliest", value: true } };
  if (start === "latest") return { position: { case: "latest", value: true } };
  if (typeof start === "object" && start !== null) {
    if ("offset" in start) {
      checkOffset(`${field}.offset`, start.offset);
      return { position: { case: "offset", value: start.offset } };
    }
    if ("timestamp" in start) {
      return {
        position: { case: "timestampMs", value: BigInt(momentMs(`${field}.timestamp`, start.timestamp)) },
      };
    }
  }
  throw new GmqError("invalid_argument", `${field} is no place in a topic`, {
    field,
    limit: '"earliest", "latest", { offset } or { timestamp }',
  });
}
