import { type SettleRefusal, Verb } from "@gmq/protocol/messages";
import { GmqError, limits } from "@gmq/protocol/portable";
import { errorFromMessage } from "@gmq/transport/errors";
import type { Settlement } from "../message.js";
import { pause } from "../pause.js";

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
  /** Resolves when everything noted is answered, or its stream is over. */
  flushed(): Promise<void>;
}

/** What the queue needs of its stream. */
export interface SettleQueueParts {
  /** Fires when the stream is over: then nothing is sent any more. */
  readonly over: AbortSignal;
  send(assignmentId: number, ranges: WebSettledRange[]): Promise<readonly SettleRefusal[]>;
  /** Hears of each verdict that did not arrive. */
  problem(error: GmqError): void;
  /** Waiting does not mend it: what is not settled has to come again. */
  refused(assignmentId: number, error: GmqError): void;
}

const verbs = { ack: Verb.ACK, retry: Verb.RETRY, release: Verb.RELEASE, reject: Verb.REJECT } as const;
const againMsMin = 100;
const againMsMax = 2_000;

interface Lane {
  gathering: WebSettledRange[];
  sending: Promise<void> | undefined;
}

/** Makes the queue of a stream. */
export function createSettleQueue({ over, send, problem, refused }: SettleQueueParts): SettleQueue {
  const lanes = new Map<number, Lane>();

  /** What may have arrived is said again: as long as it has no verdict a record is with this page, and takes the place of another. */
  async function sendAll(assignmentId: number, lane: Lane): Promise<void> {
    // What is settled in the same turn goes together.
    await new Promise((resolve) => setTimeout(resolve, 0));
    for (let failures = 0; lane.gathering.length > 0 && !over.aborted; ) {
      const ranges = lane.gathering.splice(0, limits.settleRangesPerFrameMax);
      try {
        for (const { error } of await send(assignmentId, ranges))
          if (error !== undefined) problem(errorFromMessage(error));
        failures = 0;
      } catch (cause) {
        const error = GmqError.from(cause);
        problem(error);
        if (!error.retryable) {
          lane.gathering = [];
          if (!over.aborted) refused(assignmentId, error);
          break;
        }
        lane.gathering.unshift(...ranges.map(again));
        await pause(Math.min(againMsMax, againMsMin * 2 ** Math.min(failures++, 10)) * (0.5 + Math.random() / 2), [
          over,
        ]);
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

/** An attempt that may be counted is not counted again: the record comes back without. */
function again(range: WebSettledRange): WebSettledRange {
  return range.verb === Verb.RETRY
    ? { firstOffset: range.firstOffset, lastOffset: range.lastOffset, verb: Verb.RELEASE }
    : range;
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
