/** Records whose time is over are acked in place of being handed out; how many is told together, once a turn. */
import { hasSeededBug } from "@gmq/protocol";
import type { EventStream } from "./event-stream.js";
import type { Assignment, RawMessage, Settlement } from "./message.js";
import type { SubscriptionEvent } from "./subscription-events.js";

/** Skips expired records. */
export interface ExpiredRecords {
  /** True: the record was expired and is acked. Costs a comparison when it has no time to live. */
  skips(message: RawMessage): boolean;
}

const ignoresExpiry = hasSeededBug("expiry-ignored");
const acked: Settlement = { verb: "ack" };

/** Makes the skipper; the time is this process's wall clock. */
export function createExpiredRecords(
  note: (message: RawMessage, settlement: Settlement) => void,
  events: EventStream<SubscriptionEvent>,
): ExpiredRecords {
  const counts = new Map<Assignment, number>();

  function tell(): void {
    for (const [{ topic, partition }, records] of counts) events.emit({ type: "expired", topic, partition, records });
    counts.clear();
  }

  return {
    skips(message) {
      if (message.expiresAtMs === 0 || ignoresExpiry || Date.now() < message.expiresAtMs) return false;
      message.settled = true;
      note(message, acked);
      if (counts.size === 0) setImmediate(tell);
      counts.set(message.assignment, (counts.get(message.assignment) ?? 0) + 1);
      return true;
    },
  };
}
