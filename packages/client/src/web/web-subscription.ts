/**
 * Consume in a browser: one stream after the other. A stream that breaks, or says nothing for too long, is opened again with backoff; what was not settled comes again.
 */
import type { Client } from "@connectrpc/connect";
import type { BrokerService, ConsumedRecord } from "@gmq/protocol/messages";
import { GmqError } from "@gmq/protocol/portable";
import { checkTimeout, inRange, oneOf } from "../checked-values.js";
import { checkConsumer, type OnInvalid, type Start, wireModes } from "../consumer-options.js";
import { createLanes } from "../lanes.js";
import type { Message, Settlement } from "../message.js";
import { pause } from "../pause.js";
import { Reject } from "../reject.js";
import { rejection, rejectReasons } from "../reject-text.js";
import { type TopicsLike, topicListOf } from "../topic-list.js";
import { createWebStream, silenceMsMax, type WebStream } from "./web-stream.js";

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
  /** Hears of what mends itself: a lost stream, a verdict that did not arrive (it is sent again). What it throws ends the subscription. */
  readonly onProblem?: (error: GmqError) => void;
  /** Closes the subscription when it fires. */
  readonly signal?: AbortSignal;
}

export interface WebSubscription {
  /** True while the broker delivers. */
  readonly connected: boolean;
  /**
   * Begins no new handler, waits for those that run, settles and leaves. Past `timeoutMs` (0 to 2,147,483,647, default 10,000) the handlers' signals fire and what they hold
   * comes again; a broker that does not answer is then waited for half a second more. A handler that awaits it waits for itself, and so for that time.
   * @throws GmqError `invalid_argument`
   */
  drain(options?: { readonly timeoutMs?: number }): Promise<void>;
  /** Fires the handlers' signals, sends what was settled before, and leaves; waits up to 5,000 ms for a broker that does not answer. What is unsettled comes again. */
  close(): Promise<void>;
  /** Resolves when it is closed, rejects when it ended by an error. */
  readonly closed: Promise<void>;
}

const againMsMin = 200;
const againMsMax = 10_000;
/** What closing gives to what was settled, and a drain whose time is over. */
const leaveMsMax = 5_000;
const leaveMsMin = 500;
/** As many as a broker gives to one stream. */
const maxInFlightMax = 10_000;
const text = new TextDecoder();

interface Delivered {
  readonly record: ConsumedRecord;
  readonly stream: WebStream;
}

/** Starts a subscription. @throws GmqError `invalid_argument`, `invalid_name` */
export function createWebSubscription<In, Out>(
  client: Client<typeof BrokerService>,
  like: TopicsLike<In, Out>,
  options: WebSubscribeOptions,
  handler: WebHandler<Out>,
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
  oneOf("mode", mode, ["exclusive", "shared"]);
  inRange("maxInFlight", maxInFlight, 1, maxInFlightMax);
  inRange("retry.backoff.initialMs", initialMs, 1, 86_400_000);
  inRange("retry.backoff.maxMs", maxMs, initialMs, 86_400_000);
  inRange("retry.maxAttempts", maxAttempts, 1, 1_000_000);
  const stopping = new AbortController();
  const lanes = createLanes<Delivered>(concurrency, run);
  const outcome = Promise.withResolvers<void>();
  outcome.promise.catch(() => undefined);
  let stream: WebStream | undefined;
  /** No handler begins any more. */
  let quiet = false;
  let leaving: Promise<void> | undefined;

  function problem(error: GmqError): void {
    try {
      options.onProblem?.(error);
    } catch (cause) {
      finish(GmqError.from(cause));
    }
  }

  async function run({ record, stream: own }: Delivered): Promise<void> {
    const { signal } = own.lost;
    if (quiet || signal.aborted) return;
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
      if (GmqError.is(cause, "schema_invalid")) throw cause;
      throw new GmqError("schema_invalid", cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  function invalidVerdict(error: GmqError): Settlement | undefined {
    if (onInvalid === "skip") return { verb: "ack" };
    if (onInvalid === "deadLetter") return rejection(rejectReasons.invalid, error);
    void leave(leaveMsMax, error);
    return undefined;
  }

  function failedVerdict({ attempts }: ConsumedRecord, error: unknown): Settlement {
    if (Reject.is(error)) return rejection(error.reason, error);
    if (attempts + 1 >= maxAttempts) return rejection(rejectReasons.maxAttempts, error);
    const delayMs = Math.round(Math.min(maxMs, initialMs * 2 ** Math.min(attempts, 20)) * (0.5 + Math.random() / 2));
    return { verb: "retry", delayMs, inPlace: false };
  }

  async function read(): Promise<void> {
    const request = { group, topics: [...topics.names], start: position, maxInFlight, mode: wireModes[mode] };
    const own = createWebStream(client, request, stopping.signal, {
      started() {
        stream = own;
      },
      record(record) {
        if (!quiet) lanes.add({ record, stream: own }, mode === "shared" ? undefined : laneOf(record));
      },
      problem,
      moved: (id) => void lanes.remove(({ record, stream: from }) => from === own && record.assignmentId === id),
    });
    try {
      await own.read();
    } finally {
      if (stream === own) stream = undefined;
      lanes.remove((delivered) => delivered.stream === own);
    }
  }

  async function consume(): Promise<void> {
    // Who drains has nothing to gain from another stream: what it had comes again.
    for (let failures = 0; !quiet; ) {
      const startedMs = performance.now();
      try {
        await read();
      } catch (cause) {
        if (stopping.signal.aborted) return;
        const error = GmqError.from(cause);
        if (!error.retryable) return finish(error);
        problem(error);
        failures = performance.now() - startedMs > silenceMsMax ? 0 : failures + 1;
        await pause(Math.min(againMsMax, againMsMin * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2), [
          stopping.signal,
        ]);
      }
    }
  }

  function finish(error?: GmqError): void {
    stopAll();
    stopping.abort();
    options.signal?.removeEventListener("abort", onAbort);
    if (error === undefined) outcome.resolve();
    else outcome.reject(error);
  }

  function stopAll(): void {
    quiet = true;
    lanes.remove(() => true);
  }

  /** Ends it: handlers are told, and what was settled before has so long to be answered. */
  function leave(timeoutMs: number, error?: GmqError): Promise<void> {
    stopAll();
    stream?.lost.abort();
    leaving ??= settled(timeoutMs).then(() => finish(error));
    return leaving;
  }

  async function settled(timeoutMs: number): Promise<void> {
    if (stream !== undefined) await Promise.race([stream.settlements.flushed(), pause(timeoutMs, [stopping.signal])]);
  }

  async function drain({ timeoutMs = 10_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    checkTimeout(timeoutMs);
    const untilMs = performance.now() + timeoutMs;
    stopAll();
    await Promise.race([lanes.idle(), pause(timeoutMs, [stopping.signal])]);
    await leave(Math.max(leaveMsMin, untilMs - performance.now()));
  }

  function onAbort(): void {
    void leave(leaveMsMax);
  }

  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  void consume();

  return {
    get connected() {
      return stream !== undefined;
    },
    drain,
    close: () => leave(leaveMsMax),
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
