/**
 * Publish in the client. `record-intake.ts` encodes, chooses the partition and adds to that partition's accumulator; once a turn everything that is ready goes out in
 * one frame per topic (`outbox.ts`). A promise per `send`, nothing else per record. After a lost session every unanswered batch is sent again under its number.
 */
import { randomBytes } from "node:crypto";
import { GmqError, limits, type SpareBuffers } from "@gmq/protocol";
import type { Welcome } from "@gmq/protocol/messages";
import { createByteBudget } from "./byte-budget.js";
import { bounded, type CallOptions } from "./call-options.js";
import { checkTimeout } from "./checked-values.js";
import type { EncodeTurns } from "./encode-turns.js";
import type { Link } from "./link.js";
import { type BusyTopic, createOutbox } from "./outbox.js";
import { createPartitionAccumulator, type PartitionAccumulator } from "./partition-accumulator.js";
import { checkProducer, type ProducerOptions } from "./producer-options.js";
import type { ProducerRecord } from "./producer-record.js";
import { closedError, createRecordIntake, type SendLimits } from "./record-intake.js";
import { BatchResults, type SendResult, SendWaiter, type StoredRecord } from "./record-waiters.js";
import type { TopicLike } from "./topic.js";
import type { TopicDirectory } from "./topic-directory.js";

/** Sends records. Order: the records of one partition are stored in the order of their sends. */
export interface Producer {
  /**
   * Resolves when the record is stored. Waits while the byte budget is full.
   * @throws GmqError `schema_invalid`, `record_too_large`, `topic_not_found`, `partition_not_found`, …; `resource_exhausted`: too many sends wait,
   * nothing of this one was sent; `deadline_exceeded`: not known to be stored, a new send may store it twice
   */
  send<In = Uint8Array | string>(
    topic: TopicLike<In, unknown>,
    record: ProducerRecord<NoInfer<In>>,
    options?: CallOptions,
  ): Promise<StoredRecord>;
  /**
   * Sends many records; one result each, in order. Does not throw for single records. The records are the client's until it resolves: a large batch is encoded in parts.
   */
  sendBatch<In = Uint8Array | string>(
    topic: TopicLike<In, unknown>,
    records: readonly ProducerRecord<NoInfer<In>>[],
    options?: CallOptions,
  ): Promise<SendResult[]>;
  /** Resolves when everything sent before it is answered, one way or the other, whatever is sent meanwhile. */
  flush(options?: CallOptions): Promise<void>;
  /** Flushes (up to `timeoutMs`, default 10,000 ms), then refuses what is left and what comes. */
  close(options?: { readonly timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const inFlightMax = 5;
const expiryIntervalMs = 50;

/** Makes a producer over a link. */
export function createProducer(
  link: Link,
  topics: TopicDirectory,
  spares: SpareBuffers,
  turns: EncodeTurns,
  options: ProducerOptions,
  closed: () => void,
): Producer {
  const settings = checkProducer(options);
  const budget = createByteBudget(settings.bufferedBytesMax);
  const producerId = settings.idempotent ? randomProducerId() : 0n;
  const byTopic = new Map<string, BusyTopic & { readonly all: Map<number, PartitionAccumulator> }>();
  const busyTopics = new Set<BusyTopic>();
  const outbox = createOutbox(link, topics, busyTopics, schedule);
  /** Each looks what became of what it waits for; true: some of that is not in an accumulator yet, so nothing may linger in its way. */
  const flushes = new Set<() => boolean>();
  let scheduled = false;
  let lingerTimer: NodeJS.Timeout | undefined;
  let expiryTimer: NodeJS.Timeout | undefined;
  /** The last welcome. */
  let brokerLimits: Pick<Welcome, "batchBytesMax" | "recordBytesMax"> = limits;
  /** Set: no new sends are taken; those that wait still go out until it is closed. */
  let closing: Promise<void> | undefined;
  const intake = createRecordIntake({
    topics,
    turns,
    budget,
    waitingBytesMax: settings.waitingBytesMax,
    recordBytesMax: () => Math.min(brokerLimits.recordBytesMax, brokerLimits.batchBytesMax),
    accumulatorOf,
    schedule,
  });

  function accumulatorOf(topicName: string, partition: number): PartitionAccumulator {
    const known = byTopic.get(topicName);
    const topic = known ?? { topicName, busy: new Map(), all: new Map() };
    if (known === undefined) byTopic.set(topicName, topic);
    let accumulator = topic.all.get(partition);
    if (accumulator === undefined) {
      const made = createPartitionAccumulator({
        producerId,
        get batchBytesMax() {
          return Math.min(settings.batchBytesMax, brokerLimits.batchBytesMax);
        },
        batchRecordsMax: limits.batchRecordsMax,
        lingerMs: settings.lingerMs,
        codec: settings.compression,
        inFlightMax,
        spares,
        ready: schedule,
        began() {
          topic.busy.set(partition, made);
          busyTopics.add(topic);
        },
        freed: (bytes) => budget.give(bytes),
      });
      topic.all.set(partition, made);
      accumulator = made;
    }
    return accumulator;
  }

  function busyAccumulators(): PartitionAccumulator[] {
    return [...busyTopics].flatMap(({ busy }) => [...busy.values()]);
  }

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    // After the current turn: what is sent in it goes together.
    setImmediate(pump);
  }

  function pump(): void {
    scheduled = false;
    intake.endTurn();
    const nowMs = performance.now();
    let now = false;
    for (const look of flushes) now = look() || now;
    outbox.pump(now);
    watchLinger(nowMs);
    watchExpiry();
  }

  function unanswered(): number {
    return busyAccumulators().reduce((sum, accumulator) => sum + accumulator.unanswered, 0);
  }

  /** What was due at `nowMs` and still gathers waits for an answer or a session, which pumps. */
  function watchLinger(nowMs: number): void {
    if (settings.lingerMs === 0 || lingerTimer !== undefined) return;
    const dues = busyAccumulators().map(({ lingerEndMs = 0 }) => lingerEndMs);
    const due = Math.min(...dues.filter((endMs) => endMs > nowMs));
    if (due === Number.POSITIVE_INFINITY) return;
    lingerTimer = setTimeout(
      () => {
        lingerTimer = undefined;
        pump();
      },
      Math.max(1, due - performance.now()),
    );
  }

  function watchExpiry(): void {
    if (expiryTimer !== undefined || unanswered() === 0) return;
    expiryTimer = setTimeout(() => {
      expiryTimer = undefined;
      for (const accumulator of busyAccumulators()) accumulator.expire(performance.now());
      pump();
    }, expiryIntervalMs);
  }

  function limitsOf(given: CallOptions | undefined): SendLimits {
    const startMs = performance.now();
    return { signal: given?.signal, startMs, deadlineMs: startMs + (given?.timeoutMs ?? settings.timeoutMs) };
  }

  const detach = link.attach({
    opened(welcome) {
      brokerLimits = welcome;
      outbox.opened();
      schedule();
    },
    lost: () => undefined,
    frame: () => undefined,
    drained: schedule,
    leaving: outbox.leave,
  });

  async function close(timeoutMs: number): Promise<void> {
    const late = await producer.flush({ timeoutMs }).then(
      () => undefined,
      (error: unknown) => GmqError.from(error),
    );
    intake.close();
    detach();
    clearTimeout(lingerTimer);
    clearTimeout(expiryTimer);
    const error = late ?? closedError();
    budget.close(error);
    for (const { all } of byTopic.values()) for (const accumulator of all.values()) accumulator.close(error);
    byTopic.clear();
    busyTopics.clear();
    // Who flushes beside that hears of it.
    schedule();
    closed();
  }

  const producer: Producer = {
    send(like, record, given) {
      if (closing !== undefined) return Promise.reject(closedError());
      const sendLimits = limitsOf(given);
      if (sendLimits.signal?.aborted === true) return Promise.reject(givenUp(sendLimits.signal));
      const sent = new Promise<StoredRecord>((resolve, reject) => {
        try {
          checkTimeout(given?.timeoutMs);
          intake.add(like, record, sendLimits, new SendWaiter(sendLimits.deadlineMs, resolve, reject))?.catch(reject);
        } catch (error) {
          reject(GmqError.from(error));
        }
      });
      return sendLimits.signal === undefined ? sent : bounded(sent, { signal: sendLimits.signal }, "the send");
    },

    async sendBatch(like, records, given) {
      checkTimeout(given?.timeoutMs);
      if (!Array.isArray(records))
        throw new GmqError("invalid_argument", "the records are no list", { field: "records", limit: "a list" });
      if (records.length === 0) return [];
      const sendLimits = limitsOf(given);
      const { signal } = sendLimits;
      const { promise, resolve } = Promise.withResolvers<void>();
      const batch = new BatchResults(records.length, resolve);
      const abort = (): void => batch.failFrom(0, givenUp(signal));
      signal?.addEventListener("abort", abort, { once: true });
      if (signal?.aborted === true) abort();
      else if (closing !== undefined) batch.failFrom(0, closedError());
      else intake.addAll(like, records, sendLimits, batch);
      await promise;
      signal?.removeEventListener("abort", abort);
      return batch.results;
    },

    async flush(flushOptions = {}) {
      const { promise, resolve } = Promise.withResolvers<void>();
      let marks: (() => boolean)[] | undefined;
      const look = (): boolean => {
        if (marks?.every((isAnswered) => isAnswered()) === true) resolve();
        return marks === undefined;
      };
      const mark = (): void => {
        marks = busyAccumulators().map((accumulator) => accumulator.flush());
        schedule();
      };
      flushes.add(look);
      schedule();
      if (intake.waiting === undefined) mark();
      else void intake.waiting.then(mark);
      await bounded(promise, flushOptions, "the flush").finally(() => flushes.delete(look));
    },

    async close({ timeoutMs = 10_000 } = {}) {
      checkTimeout(timeoutMs);
      closing ??= close(timeoutMs);
      await closing;
    },

    [Symbol.asyncDispose]: () => producer.close(),
  };
  return producer;
}

function givenUp(signal: AbortSignal | undefined): GmqError {
  return new GmqError("cancelled", "the send was given up", { cause: signal?.reason });
}

/** 63 random bits, never 0. */
function randomProducerId(): bigint {
  return (randomBytes(8).readBigUInt64LE() >> 1n) | 1n;
}
