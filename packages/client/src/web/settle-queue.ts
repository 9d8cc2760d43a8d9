import { type SettleRefusal, Verb } from "@gmq/protocol/messages";
import { GmqError, limits } from "@gmq/protocol/portable";
import { errorFromMessage } from "@gmq/transport/errors";
import type { Settlement } from "../message.js";

/** A range as it is sent. */
export interface WebSettledRange {
  readonly firstOffset: bigint;
  lastOffset: bigint;
  readonly verb: Verb;
  readonly delayMs?: number;
  readonly reason?: string;
  readonly errorText?: string;
}

/** Verdicts on their way: one request per partition at a time, what comes meanwhile goes in the next. */
export interface SettleQueue {
  note(assignmentId: number, offset: bigint, settlement: Settlement): void;
  /** Resolves when everything noted is answered. */
  flushed(): Promise<void>;
}

const verbs = { ack: Verb.ACK, retry: Verb.RETRY, release: Verb.RELEASE, reject: Verb.REJECT } as const;

interface Lane {
  readonly gathering: WebSettledRange[];
  sending: Promise<void> | undefined;
}

/** Makes the queue; `failed` hears of what was not settled: those records come again. */
export function createSettleQueue(
  send: (assignmentId: number, ranges: WebSettledRange[]) => Promise<readonly SettleRefusal[]>,
  failed: (error: GmqError) => void,
): SettleQueue {
  const lanes = new Map<number, Lane>();

  async function sendAll(assignmentId: number, lane: Lane): Promise<void> {
    // What is settled in the same turn goes together.
    await new Promise((resolve) => setTimeout(resolve, 0));
    while (lane.gathering.length > 0) {
      const ranges = lane.gathering.splice(0, limits.settleRangesPerFrameMax);
      try {
        for (const { error } of await send(assignmentId, ranges))
          if (error !== undefined) failed(errorFromMessage(error));
      } catch (error) {
        failed(GmqError.from(error));
      }
    }
    lanes.delete(assignmentId);
  }

  return {
    note(assignmentId, offset, settlement) {
      let lane = lanes.get(assignmentId);
      if (lane === undefined) {
        lane = { gathering: [], sending: undefined };
        lanes.set(assignmentId, lane);
      }
      const last = lane.gathering.at(-1);
      if (settlement.verb === "ack" && last?.verb === Verb.ACK && last.lastOffset + 1n === offset)
        last.lastOffset = offset;
      else lane.gathering.push(rangeOf(offset, settlement));
      lane.sending ??= sendAll(assignmentId, lane);
    },
    async flushed() {
      for (let [lane] = lanes.values(); lane !== undefined; [lane] = lanes.values()) await lane.sending;
    },
  };
}

function rangeOf(offset: bigint, settlement: Settlement): WebSettledRange {
  return {
    firstOffset: offset,
    lastOffset: offset,
    verb: verbs[settlement.verb],
    ...(settlement.verb === "retry" ? { delayMs: settlement.delayMs } : {}),
    ...(settlement.verb === "reject" ? { reason: settlement.reason, errorText: settlement.errorText } : {}),
  };
}
