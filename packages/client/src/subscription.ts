/**
 * Consume with a handler. Its promise is the answer: resolve is ack, throw is retry with backoff, throw Reject (or the last attempt) is the dead-letter topic. Up to
 * `concurrency` handlers run at once, one per lane: a record that fails waits in place, and the rest of its key behind it, while other keys go on.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createInFlight, GmqError, hasSeededBug } from "@gmq/protocol";
import { bounded, type CallOptions } from "./call-options.js";
import { checkTimeout } from "./checked-values.js";
import { createEventStream } from "./event-stream.js";
import { createExpiredRecords } from "./expired-records.js";
import { createGroupConsumer } from "./group-consumer.js";
import { decodeOrThrow, InvalidValue, settlementOfInvalid } from "./invalid-values.js";
import { createLanes, type Park } from "./lanes.js";
import type { Link } from "./link.js";
import { type Message, messageOf, type RawMessage, type Settlement } from "./message.js";
import { pause } from "./pause.js";
import { checkExtension, startDeadline } from "./processing-deadline.js";
import { Reject } from "./reject.js";
import { type Rejection, rejection, rejectReasons } from "./reject-text.js";
import { checkSubscribe, type SubscribeOptions } from "./subscribe-options.js";
import type { SubscriptionEvent } from "./subscription-events.js";
import { createSuspectGate } from "./suspects.js";
import { type TopicsLike, topicListOf } from "./topic-list.js";

/**
 * Handles one message. `signal` fires when the partition is lost and when the subscription is closed (what the handler does then comes again elsewhere), and when
 * `processingTimeoutMs` pass: then the attempt has failed, and its message can no longer be settled.
 */
export type Handler<Value> = (
  message: Message<Value>,
  context: { readonly signal: AbortSignal },
) => Promise<void> | void;

export interface Subscription {
  /** What happens to it; end it with `break` or by closing the subscription. */
  status(): AsyncIterableIterator<SubscriptionEvent>;
  /**
   * Begins no new handler and asks for no more records, waits for those that run, settles, leaves the group. Past `timeoutMs` (default 10,000) the handlers' signals fire and
   * what they hold comes again; a broker that does not answer is then waited for half a second more.
   * Inside a handler it does not wait for that handler: it returns at once and the rest follows.
   */
  drain(options?: { readonly timeoutMs?: number }): Promise<void>;
  /** Fires the handlers' signals, sends what was settled before, and leaves the group; waits up to 5,000 ms for a broker that does not answer. */
  close(): Promise<void>;
  /** Resolves when it is closed; rejects when it ended by an error: a dead consumer is never silent. */
  readonly closed: Promise<void>;
  /** Partitions that are this consumer's now. */
  readonly assignments: readonly { readonly topic: string; readonly partition: number }[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a drain whose time is over still gives to what was settled, and to leaving. */
const leaveMsMin = 500;
const acked: Settlement = { verb: "ack" };
const seeded = { acksEarly: hasSeededBug("ack-before-handler"), freesKeys: hasSeededBug("retry-frees-key") };
const insideHandler = new AsyncLocalStorage<unknown>();

/** Starts a subscription. @throws GmqError `invalid_argument`, `invalid_name` */
export function createSubscription<In, Out>(
  link: Link,
  like: TopicsLike<In, Out>,
  options: SubscribeOptions,
  handler: Handler<Out>,
  closed: () => void,
): Subscription {
  const settings = checkSubscribe(options);
  const { isShared, concurrency, orderBy, place, maxAttempts, maxHandBacks, initialMs, maxMs } = settings;
  const { processingTimeoutMs, onInvalid = "deadLetter", signal } = options;
  const topics = topicListOf(like);
  const events = createEventStream<SubscriptionEvent>();
  const lanes = createLanes<RawMessage>(concurrency, run);
  /** In the hands of handlers, oldest first. */
  const running = createInFlight<RawMessage>();
  /** Fires when no handler may begin any more; ends the waits for a retry. */
  const stopping = new AbortController();
  const outcome = Promise.withResolvers<void>();
  outcome.promise.catch(nothing);
  let closing: Promise<void> | undefined;

  // A shared consumer holds what it works on: what waits here could be with somebody who is idle.
  const maxInFlight = isShared ? { records: concurrency, ...options.maxInFlight } : options.maxInFlight;
  const consumer = createGroupConsumer(
    link,
    topics.names,
    { ...options, ...(maxInFlight && { maxInFlight }) },
    events,
    {
      messages(messages) {
        inside(() => messages.forEach(gate.add));
      },
      async revoking(assignment) {
        forget((message) => message.assignment === assignment);
        await until(() => assignment.unsettled === 0);
      },
      work() {
        const message = running.oldest();
        return message === undefined ? { kind: "retryWait" } : { kind: "handler", message };
      },
      lost: (assignment) => forget((message) => message.assignment === assignment),
      ended(error) {
        stopping.abort();
        forget(() => true);
        signal?.removeEventListener("abort", onAbort);
        closed();
        if (error === undefined) outcome.resolve();
        else outcome.reject(error);
      },
    },
  );

  const gate = createSuspectGate(
    lanes,
    (message) => laneOf(message, orderBy),
    maxHandBacks,
    () => consumer.flushed(),
  );
  const expired = createExpiredRecords(consumer.note, events);

  /** Drops what has not begun: it is unsettled and comes again, here or elsewhere. */
  function forget(test: (message: RawMessage) => boolean): void {
    for (const message of inside(() => gate.remove(test))) finish(message);
  }

  /** Handlers that begin in this piece of work know that they are inside this subscription; so does what begins when they are done. */
  function inside<Result>(work: () => Result): Result {
    return insideHandler.run(consumer, work);
  }

  const watchers = new Set<() => void>();
  /** Waits for a condition that only changes when a message is finished. */
  function until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      const check = (): void => {
        if (!holds()) return;
        watchers.delete(check);
        resolve();
      };
      watchers.add(check);
    });
  }

  function finish(message: RawMessage): void {
    consumer.done(message);
    if (watchers.size > 0) for (const check of [...watchers]) check();
  }

  /** Undefined when the handler is done already: a handler that returns nothing costs no promise. */
  function run(raw: RawMessage, park: Park): Promise<void> | undefined {
    if (raw.assignment.lost.signal.aborted || stopping.signal.aborted) {
      finish(raw);
      return undefined;
    }
    let first: Promise<void> | void;
    try {
      first = handle(raw);
    } catch (error) {
      first = Promise.reject(error);
    }
    if (first !== undefined) return untilDone(raw, first, park);
    handled(raw);
    finish(raw);
    return undefined;
  }

  /** Waits for the first try, and tries again as long as it makes sense. */
  async function untilDone(raw: RawMessage, first: Promise<void>, park: Park): Promise<void> {
    const { lost } = raw.assignment;
    let attempt: Promise<void> | void = first;
    raw.runningAs = running.add(raw);
    do {
      try {
        attempt ??= handle(raw);
        await attempt;
        handled(raw);
        break;
      } catch (error) {
        attempt = undefined;
        if (lost.signal.aborted || raw.settled) break;
        if (!(await fail(raw, error, park))) break;
      }
    } while (!lost.signal.aborted && !stopping.signal.aborted);
    running.remove(raw.runningAs);
    finish(raw);
  }

  function handled(raw: RawMessage): void {
    if (!raw.settled) consumer.note(raw, acked);
  }

  /** One attempt. @throws InvalidValue, what the handler throws, `deadline_exceeded` */
  function handle(raw: RawMessage): Promise<void> | void {
    if (expired.skips(raw)) return;
    return gate.isSuspect(raw) ? handleAlone(raw) : begin(raw);
  }

  function begin(raw: RawMessage): Promise<void> | void {
    if (seeded.acksEarly && !raw.settled) {
      raw.settled = true;
      consumer.note(raw, acked);
    }
    const decoded = decodeOrThrow(topics.codecOf(raw.assignment.topic), raw);
    return decoded instanceof Promise ? decoded.then((value) => callHandler(raw, value)) : callHandler(raw, decoded);
  }

  /** A try at a suspect. It is counted first: if it ends this process, the next one knows. */
  async function handleAlone(raw: RawMessage): Promise<void> {
    if (raw.attempts >= maxAttempts) {
      const error = new Error(`its consumers ended: handed back ${raw.handBacks} times`);
      raw.settled = true;
      reject(raw, rejection(rejectReasons.handBacks, error), error);
      return;
    }
    try {
      await consumer.settle(raw, { verb: "retry", delayMs: 0, inPlace: true }, {});
    } catch (error) {
      // Without the count it must not run; it comes again.
      raw.settled = true;
      const { topic: name, partition } = raw.assignment;
      events.emit({ type: "settleFailed", topic: name, partition, error: GmqError.from(error) });
      if (!raw.assignment.lost.signal.aborted) consumer.note(raw, { verb: "release" });
      return;
    }
    raw.counted = true;
    try {
      await begin(raw);
    } finally {
      gate.outlived(raw);
    }
  }

  function callHandler(raw: RawMessage, value: Out): Promise<void> | void {
    const { signal: lost } = raw.assignment.lost;
    if (processingTimeoutMs !== undefined) return callInTime(raw, value, lost, processingTimeoutMs);
    return handler(messageOf(raw, value, settle, checkExtension), { signal: lost });
  }

  async function callInTime(raw: RawMessage, value: Out, lost: AbortSignal, timeoutMs: number): Promise<void> {
    const deadline = startDeadline(timeoutMs);
    const settleInTime: typeof settle = async (...args) => {
      deadline.signal.throwIfAborted();
      await settle(...args);
    };
    const message = messageOf(raw, value, settleInTime, deadline.extend);
    try {
      const running = (async () => handler(message, { signal: AbortSignal.any([lost, deadline.signal]) }))();
      await Promise.race([running, deadline.passed]);
    } finally {
      deadline.stop();
    }
  }

  async function settle(raw: RawMessage, settlement: Settlement, callOptions: CallOptions): Promise<void> {
    raw.settled = true;
    await consumer.settle(raw, settlement, callOptions);
  }

  function giveUpInvalid(raw: RawMessage, error: GmqError): void {
    const settlement = settlementOfInvalid(onInvalid, error);
    if (settlement === undefined) void consumer.close(error);
    else if (settlement.verb === "reject") reject(raw, settlement, error);
    else {
      const { topic: name, partition } = raw.assignment;
      events.emit({ type: "skipped", topic: name, partition, offset: raw.offset, error });
      consumer.note(raw, settlement);
    }
  }

  function reject(raw: RawMessage, settlement: Rejection, error: unknown): void {
    const { topic: name, partition } = raw.assignment;
    events.emit({ type: "rejected", topic: name, partition, offset: raw.offset, reason: settlement.reason, error });
    consumer.note(raw, settlement);
  }

  /** Counts the attempt; true: try again now, after the wait. Its lane waits with it, its place among the handlers is another's meanwhile. */
  async function fail(raw: RawMessage, error: unknown, park: Park): Promise<boolean> {
    if (error instanceof InvalidValue) {
      giveUpInvalid(raw, error.problem);
      return false;
    }
    const { topic: name, partition } = raw.assignment;
    const delayMs = Math.round(
      Math.min(maxMs, initialMs * 2 ** Math.min(raw.attempts, 20)) * (0.5 + Math.random() / 2),
    );
    raw.attempts++;
    const { counted } = raw;
    raw.counted = false;
    if (Reject.is(error)) reject(raw, rejection(error.reason, error), error);
    else if (raw.attempts >= maxAttempts) reject(raw, rejection(rejectReasons.maxAttempts, error), error);
    else {
      events.emit({
        type: "retrying",
        topic: name,
        partition,
        offset: raw.offset,
        attempt: raw.attempts,
        delayMs,
        error,
      });
      if (!counted) consumer.note(raw, { verb: "retry", delayMs, inPlace: place === "in-order" });
      if (place === "delayed" && !counted) return false;
      if (seeded.freesKeys) {
        setTimeout(() => lanes.add(raw, laneOf(raw, orderBy)), delayMs);
        return false;
      }
      const { lost, revoking } = raw.assignment;
      running.remove(raw.runningAs);
      await park(pause(delayMs, [lost.signal, revoking.signal, stopping.signal]));
      raw.runningAs = running.add(raw);
      return !revoking.signal.aborted;
    }
    return false;
  }

  function stop(): void {
    consumer.stop();
    stopping.abort();
    forget(() => true);
  }

  async function drain(timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    stop();
    try {
      await bounded(lanes.idle(), { timeoutMs }, "draining");
    } catch {
      // Past the deadline: closing fires the signals of the handlers that still run.
    }
    await consumer.close(undefined, Math.max(leaveMsMin, untilMs - performance.now()));
  }

  const onAbort = (): void => void subscription.close().catch(nothing);

  const subscription: Subscription = {
    status: () => events.iterate(),
    async drain({ timeoutMs = 10_000 } = {}) {
      checkTimeout(timeoutMs);
      closing ??= drain(timeoutMs);
      if (insideHandler.getStore() === consumer) return;
      await closing;
    },
    async close() {
      stop();
      const left = consumer.close();
      closing ??= left;
      if (insideHandler.getStore() === consumer) return;
      await left;
    },
    closed: outcome.promise,
    get assignments() {
      return consumer.assignments.map(({ topic: name, partition }) => ({ topic: name, partition }));
    },
    [Symbol.asyncDispose]: () => subscription.drain(),
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return subscription;
}

function laneOf({ assignment, keyBytes }: RawMessage, orderBy: "key" | "partition" | "none"): string | undefined {
  if (orderBy === "none") return undefined;
  if (orderBy === "partition") return String(assignment.assignmentId);
  if (keyBytes === undefined) return undefined;
  return `${assignment.assignmentId}/${Buffer.from(keyBytes.buffer, keyBytes.byteOffset, keyBytes.length).toString("latin1")}`;
}

function nothing(): void {
  // `closed` tells everybody who asks
}
