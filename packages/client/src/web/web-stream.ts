/** One stream of a browser's subscription, from its start to its end: a server stream delivers, unary calls settle. What was not settled when it ends comes again. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { BrokerService, ConsumedRecord, ConsumeRequestSchema } from "@gmq/protocol/messages";
import { GmqError } from "@gmq/protocol/portable";
import { createSettleQueue, type SettleQueue } from "./settle-queue.js";
import { watchSilence } from "./silence-watch.js";
import { fromWebError } from "./web-errors.js";

export interface WebStream {
  /** Fires when what it delivered is no longer this page's, or its handlers are to stop. */
  readonly lost: AbortController;
  /** Verdicts go to the stream that delivered: another one has other numbers for its partitions. */
  readonly settlements: SettleQueue;
  /** Reads it to its end. @throws GmqError what ended it; `unavailable` when it ended in order */
  read(): Promise<never>;
}

/** What a stream tells its subscription. */
export interface WebStreamEvents {
  started(): void;
  record(record: ConsumedRecord): void;
  problem(error: GmqError): void;
  /** A partition went to somebody else: its records that have not begun are theirs. */
  moved(assignmentId: number): void;
}

/** Brokers say something every 10 s. */
export const silenceMsMax = 35_000;
/** A broker tries for 60 s to settle in a store that does not answer. */
const settleMsMax = 70_000;

/** Makes a stream; `stopping` ends it. */
export function createWebStream(
  client: Client<typeof BrokerService>,
  request: MessageInitShape<typeof ConsumeRequestSchema>,
  stopping: AbortSignal,
  events: WebStreamEvents,
): WebStream {
  const lost = new AbortController();
  /** Ends the stream's call and those that settle for it. */
  const over = new AbortController();
  let sessionId = "";
  let ending: GmqError | undefined;

  function end(error: GmqError): void {
    ending ??= error;
    over.abort();
  }

  const settlements = createSettleQueue({
    over: over.signal,
    async send(assignmentId, ranges) {
      try {
        const call = { signal: over.signal, timeoutMs: settleMsMax };
        return (await client.settle({ sessionId, assignmentId, ranges }, call)).refusals;
      } catch (error) {
        throw fromWebError(error, over.signal);
      }
    },
    problem: events.problem,
    refused(assignmentId, { code, message }) {
      if (code === "fenced" || code === "assignment_not_found") events.moved(assignmentId);
      else end(new GmqError("unavailable", `the broker takes no settlement of this stream: ${message}`));
    },
  });

  async function read(): Promise<never> {
    const stop = (): void => over.abort();
    stopping.addEventListener("abort", stop, { once: true });
    if (stopping.aborted) stop();
    const watch = watchSilence(silenceMsMax, () =>
      end(new GmqError("unavailable", "the broker was silent for too long", { limit: `${silenceMsMax} ms` })),
    );
    try {
      for await (const { event } of client.consume(request, { signal: over.signal })) {
        watch.heard();
        if (event.case === "record") events.record(event.value);
        else if (event.case === "started") {
          ({ sessionId } = event.value);
          events.started();
        }
      }
      throw new GmqError("unavailable", "the broker ended the stream");
    } catch (cause) {
      throw ending ?? fromWebError(cause, stopping);
    } finally {
      watch.stop();
      stopping.removeEventListener("abort", stop);
      over.abort();
      lost.abort();
    }
  }

  return { lost, settlements, read };
}
