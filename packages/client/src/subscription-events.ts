import type { GmqError } from "@gmq/protocol";
import type { StallReason } from "./stall-watch.js";

/** What happens to a subscription, for `status()`. */
export type SubscriptionEvent =
  | { readonly type: "subscribed"; readonly group: string; readonly memberId: string }
  | { readonly type: "assigned"; readonly topic: string; readonly partition: number; readonly epoch: bigint }
  | { readonly type: "revoked"; readonly topic: string; readonly partition: number }
  /** How many records are behind the one delivered last; at most once a second. */
  | { readonly type: "lag"; readonly topic: string; readonly partition: number; readonly records: bigint }
  /** A handler failed; the record is tried again after `delayMs`. */
  | {
      readonly type: "retrying";
      readonly topic: string;
      readonly partition: number;
      readonly offset: bigint;
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: unknown;
    }
  /** A record was given up: it goes to the group's dead-letter topic. */
  | {
      readonly type: "rejected";
      readonly topic: string;
      readonly partition: number;
      readonly offset: bigint;
      readonly reason: string;
      readonly error: unknown;
    }
  /** A record's value could not be read, and `onInvalid` is "skip": it was acked. */
  | {
      readonly type: "skipped";
      readonly topic: string;
      readonly partition: number;
      readonly offset: bigint;
      readonly error: GmqError;
    }
  /** Records whose `ttlMs` was over before a handler got them: they were acked. Counted apart from what is skipped or rejected. */
  | { readonly type: "expired"; readonly topic: string; readonly partition: number; readonly records: number }
  /** It holds records, or has no session, and for `stallMs` nothing was done. Told once; `creditUsedUp`: it holds all that it may, so nothing else is delivered. */
  | {
      readonly type: "stalled";
      readonly forMs: number;
      readonly heldRecords: number;
      readonly creditUsedUp: boolean;
      readonly reason: StallReason;
    }
  /** A stall is over. */
  | { readonly type: "resumed"; readonly stalledMs: number }
  /** What became of records could not be stored: they come again. */
  | { readonly type: "settleFailed"; readonly topic: string; readonly partition: number; readonly error: GmqError }
  /** There is no session at the moment; it is opened again. */
  | { readonly type: "reconnecting"; readonly error: GmqError };
