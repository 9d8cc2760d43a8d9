/** Frames of a session that tests write by hand, right or wrong. */
import { type StartPosition, SubscriptionMode } from "@gmq/protocol/messages";
import type { RequestFrame } from "./raw-session.js";

/** What an error frame, or the status of a session that ends, has to say. */
export interface Refusal {
  readonly code: string;
  readonly field?: string;
  readonly limit?: string;
}

export const resolve = (topic: string): RequestFrame => ({ case: "resolveTopic", value: { topic } });

/** What differs from a sound subscription to the topic `there` in the group `g`. */
interface SubscribeChanges {
  readonly subscriptionId?: number;
  readonly group?: string;
  readonly topics?: string[];
  readonly mode?: number;
  readonly memberId?: string;
  readonly staticMember?: boolean;
  readonly sessionTimeoutMs?: number;
  readonly start?: StartPosition;
}

export const subscribe = ({ mode = SubscriptionMode.EXCLUSIVE, ...value }: SubscribeChanges): RequestFrame => ({
  case: "subscribe",
  value: { subscriptionId: 1, group: "g", topics: ["there"], mode: mode as SubscriptionMode, ...value },
});

export const settle = (
  assignmentId: number,
  ranges: readonly { firstOffset: bigint; lastOffset: bigint; verb: number; delayMs?: number }[],
): RequestFrame => ({ case: "settlement", value: { assignmentId, ranges: [...ranges] } });
