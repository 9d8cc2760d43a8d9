/**
 * Consume in a browser: a server stream delivers, unary calls settle. A stream that breaks, or says nothing for too long, is opened again with backoff; what was not
 * settled comes again.
 */
import type { Client } from "@connectrpc/connect";
import type { BrokerService, ConsumedRecord, ConsumeResponse } from "@gmq/protocol/messages";
import { GmqError, limits } from "@gmq/protocol/portable";
import { inRange } from "../checked-values.js";
import { checkConsumer, type OnInvalid, type Start, wireModes } from "../consumer-options.js";
import { createLanes } from "../lanes.js";
import type { Message, Settlement } from "../message.js";
import { pause } from "../pause.js";
import { Reject } from "../reject.js";
import { rejection, rejectReasons } from "../reject-text.js";
import { type TopicsLike, topicListOf } from "../topic-list.js";
import { createSettleQueue, type SettleQueue } from "./settle-queue.js";
import { fromWebError } from "./web-errors.js";

/** A record that was delivered to a browser. */
export type WebMessage<Value> = Pick<
  Message<Value>,
  "attempt" | "handBacks" | "headers" | "key" | "keyBytes" | "offset" | "partition" | "timestamp" | "topic" | "value"
>;

/** Handles one message; `signal` fires when its stream is lost or the subscription closes: then the message comes again. */
export type WebHandler<Value> = (
  message: WebMessage<Value>,
  context: { readonly signal: AbortSignal },
) => Promise<void> | void;

export interface WebSubscribeOptions {
  readonly group: string;
  /** Default `exclusive`. */
  readonly mode?: "exclusive" | "shared";
  readonly start?: Start;
  /** Handlers that run at once, one per key; default 1. */
  readonly concurrency?: number;
  /** Records delivered and not settled; 1 to 10,000, default 100. */
  readonly maxInFlight?: number;
  /** How a record whose handler throws comes again; default 8 attempts, 200 ms up to 30,000 ms. The store brings it, so later records of its key may overtake it. */
  readonly retry?: {
    readonly maxAttempts?: number;
    readonly backoff?: { readonly initialMs?: number; readonly maxMs?: number };
  };
  /** What becomes of a value that does not fit the topic; default `deadLetter`. */
  readonly onInvalid?: OnInvalid;
  /** Hears of what mends itself: a lost stream, a verdict that did not arrive. */
  readonly onProblem?: (error: GmqError) => void;
  readonly signal?: AbortSignal;
}

export interface WebSubscription {
  /** True while the broker delivers. */
  readonly connected: boolean;
  /** Begins no new handler, waits for those that run, settles and leaves. */
  drain(): Promise<void>;
  /** Leaves at once; what is unsettled comes again. */
  close(): Promise<void>;
  /** Resolves when it is closed, rejects when it ended by an error. */
  readonly closed: Promise<void>;
}

/** Brokers say something every 10 s. */
const silenceMsMax = 35_000;
const againMsMin = 200;
const againMsMax = 10_000;
const text = new TextDecoder();

/** One stream's life. */
interface Stream {
  readonly controller: AbortController;
  sessionId: string;
  readonly settlements: SettleQueue;
}

interface Delivered {
  readonly record: ConsumedRecord;
  readonly stream: Stream;
}

/** Starts a subscription. @throws GmqError `invalid_argument`, `invalid_name` */
export function createWebSubscription<In, Out>(
  client: Client<typeof BrokerService>,
  like: TopicsLike<In, Out>,
  options: WebSubscribeOptions,
  handler: WebHandler<Out>,
  ended: () => void,
): WebSubscription {
  const {
    mode = "exclusive",
    start = "earliest",
    concurrency = 1,
    maxInFlight = 100,
    retry = {},
    onInvalid = "deadLetter",
  } = options;
  const { initialMs = 200, maxMs = 30_000 } = retry.backoff ?? {};
  const { maxAttempts = 8 } = retry;
  const topics = topicListOf(like);
  const { group, start: position } = checkConsumer(topics.names, { group: options.group, mode, start, onInvalid });
  inRange("concurrency", concurrency, 1, 10_000);
  inRange("maxInFlight", maxInFlight, 1, limits.creditRecordsMax);
  inRange("retry.backoff.initialMs", initialMs, 1, 86_400_000);
  inRange("retry.backoff.maxMs", maxMs, initialMs, 86_400_000);
  inRange("retry.maxAttempts", maxAttempts, 1, 1_000_000);
  const stopping = new AbortController();
  const lanes = createLanes<Delivered>(concurrency, run);
  const outcome = Promise.withResolvers<void>();
  outcome.promise.catch(() => undefined);
  let stream: Stream | undefined;
  let draining = false;

  /** Verdicts go to the stream that delivered: another one has other numbers for its partitions. */
  function createStream(): Stream {
    const own: Stream = {
      controller: new AbortController(),
      sessionId: "",
      settlements: createSettleQueue(
        async (assignmentId, ranges) => {
          try {
            return (await client.settle({ sessionId: own.sessionId, assignmentId, ranges })).refusals;
          } catch (error) {
            throw fromWebError(error);
          }
        },
        (error) => options.onProblem?.(error),
      ),
    };
    return own;
  }

  async function run({ record, stream: own }: Delivered): Promise<void> {
    const { signal } = own.controller;
    if (draining || signal.aborted) return;
    let verdict: Settlement | undefined;
    try {
      const value = await decode(record);
      verdict = { verb: "ack" };
      await handler(messageOf(record, value), { signal });
    } catch (error) {
      // Decoding failed when there is no verdict yet.
      verdict = verdict === undefined ? invalidVerdict(GmqError.from(error)) : failedVerdict(record, error);
    }
    if (verdict !== undefined && !signal.aborted) own.settlements.note(record.assignmentId, record.offset, verdict);
  }

  async function decode({ topic, value }: ConsumedRecord): Promise<Out> {
    try {
      return await topics.codecOf(topic).decode(value);
    } catch (cause) {
      throw new GmqError("schema_invalid", cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  function invalidVerdict(error: GmqError): Settlement | undefined {
    if (onInvalid === "skip") return { verb: "ack" };
    if (onInvalid === "deadLetter") return rejection(rejectReasons.invalid, error);
    finish(error);
    return undefined;
  }

  function failedVerdict({ attempts }: ConsumedRecord, error: unknown): Settlement {
    if (Reject.is(error)) return rejection(error.reason, error);
    if (attempts + 1 >= maxAttempts) return rejection(rejectReasons.maxAttempts, error);
    const delayMs = Math.round(Math.min(maxMs, initialMs * 2 ** Math.min(attempts, 20)) * (0.5 + Math.random() / 2));
    return { verb: "retry", delayMs, inPlace: false };
  }

  /** One stream, from its start to its end. @throws what ended it */
  async function read(): Promise<void> {
    const own = createStream();
    const stop = (): void => own.controller.abort();
    stopping.signal.addEventListener("abort", stop, { once: true });
    let watchdog = setTimeout(stop, silenceMsMax);
    try {
      const request = { group, topics: [...topics.names], start: position, maxInFlight, mode: wireModes[mode] };
      for await (const response of client.consume(request, { signal: own.controller.signal })) {
        clearTimeout(watchdog);
        watchdog = setTimeout(stop, silenceMsMax);
        take(own, response);
      }
    } finally {
      clearTimeout(watchdog);
      stopping.signal.removeEventListener("abort", stop);
      own.controller.abort();
      if (stream === own) stream = undefined;
      lanes.remove((delivered) => delivered.stream === own);
    }
  }

  function take(own: Stream, { event }: ConsumeResponse): void {
    if (event.case === "started") {
      own.sessionId = event.value.sessionId;
      stream = own;
    } else if (event.case === "record" && !draining) {
      lanes.add({ record: event.value, stream: own }, mode === "shared" ? undefined : laneOf(event.value));
    }
  }

  async function consume(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; ) {
      const startedMs = performance.now();
      try {
        await read();
        throw new GmqError("unavailable", "the broker ended the stream");
      } catch (cause) {
        if (stopping.signal.aborted) return;
        const error = fromWebError(cause, stopping.signal);
        if (!error.retryable) {
          finish(error);
          return;
        }
        options.onProblem?.(error);
        failures = performance.now() - startedMs > silenceMsMax ? 0 : failures + 1;
        await pause(Math.min(againMsMax, againMsMin * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2), [
          stopping.signal,
        ]);
      }
    }
  }

  function finish(error?: GmqError): void {
    stopping.abort();
    options.signal?.removeEventListener("abort", onAbort);
    ended();
    if (error === undefined) outcome.resolve();
    else outcome.reject(error);
  }

  async function drain(): Promise<void> {
    draining = true;
    lanes.remove(() => true);
    await lanes.idle();
    await stream?.settlements.flushed();
    finish();
  }

  function onAbort(): void {
    finish();
  }

  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  void consume();

  return {
    get connected() {
      return stream !== undefined;
    },
    drain,
    async close() {
      finish();
    },
    closed: outcome.promise,
  };
}

function laneOf({ assignmentId, key }: ConsumedRecord): string | undefined {
  return key === undefined ? undefined : `${assignmentId}/${key.join()}`;
}

function messageOf<Value>(record: ConsumedRecord, value: Value): WebMessage<Value> {
  const { topic, partition, offset, key, headers, timestampMs, attempts, handBacks } = record;
  return {
    topic,
    partition,
    offset,
    key: key === undefined ? undefined : text.decode(key),
    keyBytes: key,
    value,
    headers: Object.fromEntries(headers.map((header) => [header.key, text.decode(header.value)])),
    timestamp: new Date(Number(timestampMs)),
    attempt: attempts + 1,
    handBacks,
  };
}
