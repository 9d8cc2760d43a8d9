/** Consume by hand: `messages()` one by one, `receive()` batch by batch. What is read is settled by the reader; the queue is bounded by the credit. */
import { GmqError, limits } from "@gmq/protocol";
import { bounded, type CallOptions } from "./call-options.js";
import { checkTimeout, inRange } from "./checked-values.js";
import type { ConsumerOptions } from "./consumer-options.js";
import { createEventStream } from "./event-stream.js";
import { createExpiredRecords } from "./expired-records.js";
import { createGroupConsumer } from "./group-consumer.js";
import { decodeOrThrow, InvalidValue, settlementOfInvalid } from "./invalid-values.js";
import type { Link } from "./link.js";
import { type Message, messageOf, type RawMessage } from "./message.js";
import { checkExtension } from "./processing-deadline.js";
import type { SubscriptionEvent } from "./subscription-events.js";
import { type TopicsLike, topicListOf } from "./topic-list.js";

/** Some messages, in the order of their partitions. */
export interface MessageBatch<Value> {
  readonly messages: readonly Message<Value>[];
  /** Acks every message that is not settled yet. @throws GmqError `fenced`: some come again elsewhere */
  ack(options?: CallOptions): Promise<void>;
}

/** Reads messages by hand. */
export interface Consumer<Value> {
  /** Waits for messages: at least one, at most `max` (default 500); null when there was none within `timeoutMs` (default 30,000). @throws GmqError when the consumer has ended */
  receive(options?: CallOptions & { readonly max?: number }): Promise<MessageBatch<Value> | null>;
  /** Messages one by one; ending the loop does not close the consumer. */
  messages(): AsyncIterableIterator<Message<Value>>;
  status(): AsyncIterableIterator<SubscriptionEvent>;
  /** Leaves the group; what is not settled goes to the others. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a consumer. @throws GmqError `invalid_argument`, `invalid_name` */
export function createConsumer<In, Out>(
  link: Link,
  like: TopicsLike<In, Out>,
  options: ConsumerOptions,
  closed: () => void,
): Consumer<Out> {
  const topics = topicListOf(like);
  const { onInvalid = "deadLetter" } = options;
  const events = createEventStream<SubscriptionEvent>();
  let queue: RawMessage[] = [];
  const wakers = new Set<() => void>();
  let over: { readonly error: GmqError | undefined } | undefined;
  const handedOut = new Map<RawMessage["assignment"], Set<RawMessage>>();

  const group = createGroupConsumer(link, topics.names, options, events, {
    messages(messages) {
      queue.push(...messages);
      wake();
    },
    async revoking(assignment) {
      forget(assignment);
      // What the reader holds is its own to settle until the deadline.
      await new Promise<void>((resolve) => {
        if ((handedOut.get(assignment)?.size ?? 0) === 0) resolve();
        else whenSettled.set(assignment, resolve);
      });
    },
    work() {
      for (const [message] of handedOut.values()) if (message !== undefined) return { kind: "notSettled", message };
      return { kind: "notRead" };
    },
    lost(assignment) {
      forget(assignment);
      for (const message of handedOut.get(assignment) ?? []) finish(message);
    },
    ended(error) {
      over = { error };
      queue = [];
      wake();
      closed();
    },
  });
  const expired = createExpiredRecords(group.note, events);
  const whenSettled = new Map<RawMessage["assignment"], () => void>();

  function forget(assignment: RawMessage["assignment"]): void {
    const kept = queue.filter((message) => message.assignment !== assignment);
    for (const message of queue) if (message.assignment === assignment) group.done(message);
    queue = kept;
  }

  function finish(raw: RawMessage): void {
    const held = handedOut.get(raw.assignment);
    if (held?.delete(raw) !== true) return;
    group.done(raw);
    if (held.size > 0) return;
    handedOut.delete(raw.assignment);
    whenSettled.get(raw.assignment)?.();
    whenSettled.delete(raw.assignment);
  }

  async function settle(
    raw: RawMessage,
    settlement: Parameters<typeof group.settle>[1],
    callOptions: CallOptions,
  ): Promise<void> {
    raw.settled = true;
    try {
      await group.settle(raw, settlement, callOptions);
    } finally {
      finish(raw);
    }
  }

  /** Undefined: the record has expired, or its value cannot be read, which the policy has dealt with. @throws GmqError `schema_invalid` when the policy is to fail */
  async function open(raw: RawMessage): Promise<Message<Out> | undefined> {
    const held = handedOut.get(raw.assignment) ?? new Set();
    handedOut.set(raw.assignment, held);
    held.add(raw);
    if (expired.skips(raw)) {
      finish(raw);
      return undefined;
    }
    try {
      const value = await decodeOrThrow(topics.codecOf(raw.assignment.topic), raw);
      return messageOf(raw, value, settle, checkExtension);
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      return giveUpInvalid(raw, error.problem);
    }
  }

  function giveUpInvalid(raw: RawMessage, error: GmqError): undefined {
    const settlement = settlementOfInvalid(onInvalid, error);
    if (settlement === undefined) {
      void group.close(error);
      throw error;
    }
    const { topic: name, partition } = raw.assignment;
    const at = { topic: name, partition, offset: raw.offset, error };
    events.emit(
      settlement.verb === "reject"
        ? { type: "rejected", ...at, reason: settlement.reason }
        : { type: "skipped", ...at },
    );
    raw.settled = true;
    group.note(raw, settlement);
    finish(raw);
    return undefined;
  }

  /** Everybody who waits looks again. */
  function wake(): void {
    for (const resolve of wakers) resolve();
  }

  /** Waits until something is queued, within what is left of the caller's time, whoever takes what comes meanwhile; false when the consumer has ended. */
  async function queued(left: () => CallOptions): Promise<boolean> {
    while (queue.length === 0 && over === undefined) {
      const { promise: arrived, resolve: waker } = Promise.withResolvers<void>();
      wakers.add(waker);
      await bounded(arrived, left(), "receiving").finally(() => wakers.delete(waker));
    }
    if (over?.error !== undefined) throw over.error;
    return over === undefined;
  }

  async function* messages(): AsyncGenerator<Message<Out>> {
    while (await queued(() => ({}))) {
      const raw = queue.shift();
      const message = raw === undefined ? undefined : await open(raw);
      if (message !== undefined) yield message;
    }
  }

  const consumer: Consumer<Out> = {
    async receive({ max = 500, timeoutMs = 30_000, signal } = {}) {
      inRange("max", max, 1, limits.creditRecordsMax);
      checkTimeout(timeoutMs);
      const untilMs = performance.now() + timeoutMs;
      const left = (): CallOptions => ({
        timeoutMs: Math.max(0, Math.ceil(untilMs - performance.now())),
        ...(signal === undefined ? {} : { signal }),
      });
      let raws: RawMessage[] = [];
      let opened: Message<Out>[] = [];
      while (opened.length === 0) {
        try {
          if (!(await queued(left))) throw new GmqError("closed", "the consumer is closed");
        } catch (error) {
          if (GmqError.is(error, "deadline_exceeded")) return null;
          throw error;
        }
        raws = queue.splice(0, max);
        opened = (await Promise.all(raws.map(open))).filter((message) => message !== undefined);
      }
      return {
        messages: opened,
        async ack(callOptions = {}) {
          const outcomes = await Promise.allSettled(
            raws.filter((raw) => !raw.settled).map((raw) => settle(raw, { verb: "ack" }, callOptions)),
          );
          const failed = outcomes.find((outcome) => outcome.status === "rejected");
          if (failed !== undefined) throw GmqError.from(failed.reason);
        },
      };
    },
    messages,
    status: () => events.iterate(),
    close: () => group.close(),
    [Symbol.asyncDispose]: () => group.close(),
  };
  return consumer;
}

/** Messages of a consumer that lives as long as the loop: `break` leaves the group. */
export async function* readMessages<Value>(
  consumer: Consumer<Value>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Message<Value>> {
  const stop = (): void => void consumer.close();
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  try {
    yield* consumer.messages();
  } finally {
    signal?.removeEventListener("abort", stop);
    await consumer.close();
  }
}
