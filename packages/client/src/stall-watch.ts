/** Tells when a subscription has work and nothing gets done, and why; once for each stall, and once when it is over. */
import type { EventStream } from "./event-stream.js";
import type { RawMessage } from "./message.js";
import type { SubscriptionEvent } from "./subscription-events.js";

/** Why nothing gets done. */
export type StallReason =
  /** There is no session: nothing comes, and nothing can be settled. */
  | { readonly kind: "disconnected" }
  /** A handler has run for at least so long; the oldest of those that run. */
  | {
      readonly kind: "handler";
      readonly topic: string;
      readonly partition: number;
      readonly offset: bigint;
      readonly runningMs: number;
    }
  /** All that is held waits for its next try. */
  | { readonly kind: "retryWait" }
  /** A reader by hand got a message at least so long ago and has not settled it; the oldest. */
  | {
      readonly kind: "notSettled";
      readonly topic: string;
      readonly partition: number;
      readonly offset: bigint;
      readonly heldMs: number;
    }
  /** Messages were delivered and the reader by hand does not ask for them. */
  | { readonly kind: "notRead" };

/** What a consumer's owner does with what it holds. */
export type Work =
  | { readonly kind: "handler" | "notSettled"; readonly message: RawMessage }
  | { readonly kind: "retryWait" | "notRead" };

/** A look at the consumer. */
export interface StallFacts {
  readonly subscribed: boolean;
  readonly heldRecords: number;
  /** Grows with each record that is done, one way or the other. */
  readonly doneRecords: number;
  readonly creditUsedUp: boolean;
  readonly work: Work;
}

const looksPerStall = 4;

/**
 * Watches; the answer ends it. A stall is `stallMs` of looks without progress while something is held or there is no session: an idle topic is none, and a process that
 * was stopped itself has not looked.
 */
export function watchStalls(
  stallMs: number,
  look: () => StallFacts,
  events: EventStream<SubscriptionEvent>,
): () => void {
  let quietLooks = 0;
  let quietSinceMs = performance.now();
  let lastDone = 0;
  let stalled = false;
  let oldest: { readonly message: RawMessage | undefined; readonly seenMs: number } | undefined;

  function reasonOf({ subscribed, work }: StallFacts, nowMs: number): StallReason {
    if (!subscribed) return { kind: "disconnected" };
    if (!("message" in work)) return { kind: work.kind };
    const { assignment, offset } = work.message;
    const place = { topic: assignment.topic, partition: assignment.partition, offset };
    const ms = Math.round(nowMs - (oldest?.seenMs ?? nowMs));
    return work.kind === "handler"
      ? { kind: "handler", ...place, runningMs: ms }
      : { kind: "notSettled", ...place, heldMs: ms };
  }

  const timer = setInterval(() => {
    const facts = look();
    const nowMs = performance.now();
    const { work } = facts;
    const message = "message" in work ? work.message : undefined;
    if (oldest?.message !== message) oldest = { message, seenMs: nowMs };
    const moves = facts.doneRecords !== lastDone;
    lastDone = facts.doneRecords;
    if (moves || (facts.subscribed && facts.heldRecords === 0)) {
      if (stalled) events.emit({ type: "resumed", stalledMs: Math.round(nowMs - quietSinceMs) });
      stalled = false;
      quietLooks = 0;
      quietSinceMs = nowMs;
      return;
    }
    quietLooks++;
    if (stalled || quietLooks < looksPerStall) return;
    stalled = true;
    const { heldRecords, creditUsedUp } = facts;
    const forMs = Math.round(nowMs - quietSinceMs);
    events.emit({ type: "stalled", forMs, heldRecords, creditUsedUp, reason: reasonOf(facts, nowMs) });
  }, stallMs / looksPerStall);
  return () => clearInterval(timer);
}
