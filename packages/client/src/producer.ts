/**
 * Publish in the client. `send` encodes, chooses the partition and adds to that partition's accumulator; once a turn everything that is ready goes out in
 * one frame per topic. A promise per `send`, nothing else per record. After a lost session every unanswered batch is sent again under its number.
 */
import { randomBytes } from "node:crypto";
import { type EncodableRecord, GmqError, limits, type SpareBuffers } from "@gmq/protocol";
import { createByteBudget } from "./byte-budget.js";
import { bounded, type CallOptions } from "./call-options.js";
import { checkObject, checkTimeout } from "./checked-values.js";
import type { EncodeTurns } from "./encode-turns.js";
import type { Link } from "./link.js";
import { createOutbox } from "./outbox.js";
import { createPartitionAccumulator, type PartitionAccumulator } from "./partition-accumulator.js";
import { createPartitioner } from "./partitioner.js";
import { checkProducer, type ProducerOptions } from "./producer-options.js";
import { checkedBytes, encodableOf, type ProducerRecord, tagsOf } from "./producer-record.js";
import {
  BatchResults,
  BatchWaiter,
  type PlacedWaiter,
  type SendResult,
  SendWaiter,
  type StoredRecord,
} from "./record-waiters.js";
import { type TopicLike, topicOf } from "./topic.js";
import type { TopicDirectory } from "./topic-directory.js";

/** Sends records. Order: the records of one partition are stored in the order of their sends. */
export interface Producer {
  /**
   * Resolves when the record is stored. Waits while the byte budget is full.
   * @throws GmqError `schema_invalid`, `record_too_large`, `topic_not_found`, `partition_not_found`, …; `deadline_exceeded`: not known to be stored, a new send may store it twice
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
  /** Resolves when everything sent so far is answered, one way or the other. */
  flush(options?: CallOptions): Promise<void>;
  /** Flushes (up to `timeoutMs`, default 10,000 ms), then refuses what is left and what comes. */
  close(options?: { readonly timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const inFlightMax = 5;
const expiryIntervalMs = 50;
/** A batch of more than this is encoded in parts. */
const partBytes = 1024 * 1024;

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
  const partitioner = createPartitioner();
  const byTopic = new Map<string, Map<number, PartitionAccumulator>>();
  const outbox = createOutbox(link, topics, byTopic, schedule);
  const idleWaiters = new Set<() => void>();
  let scheduled = false;
  let lingerTimer: NodeJS.Timeout | undefined;
  let expiryTimer: NodeJS.Timeout | undefined;
  let flushing = 0;
  /** The last record or batch that had to wait before it could be added. */
  let waitingAdd: Promise<void> | undefined;
  /** Set: no new sends are taken; those that wait still go out until it is closed. */
  let closing: Promise<void> | undefined;
  let isClosed = false;
  /** Of all records so far. */
  let addedBytes = 0;

  function accumulatorOf(topicName: string, partition: number): PartitionAccumulator {
    const partitions = byTopic.get(topicName) ?? new Map<number, PartitionAccumulator>();
    byTopic.set(topicName, partitions);
    let accumulator = partitions.get(partition);
    if (accumulator === undefined) {
      accumulator = createPartitionAccumulator({
        producerId,
        batchBytesMax: settings.batchBytesMax,
        batchRecordsMax: limits.batchRecordsMax,
        lingerMs: settings.lingerMs,
        codec: settings.compression,
        inFlightMax,
        spares,
        ready: schedule,
        freed: (bytes) => budget.give(bytes),
      });
      partitions.set(partition, accumulator);
    }
    return accumulator;
  }

  function allAccumulators(): PartitionAccumulator[] {
    return [...byTopic.values()].flatMap((partitions) => [...partitions.values()]);
  }

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    // After the current turn: what is sent in it goes together.
    setImmediate(pump);
  }

  function pump(): void {
    scheduled = false;
    partitioner.endTurn();
    outbox.pump(flushing > 0);
    watchLinger();
    watchExpiry();
    if (idleWaiters.size > 0 && isIdle()) for (const resolve of idleWaiters) resolve();
  }

  function unanswered(): number {
    return allAccumulators().reduce((sum, accumulator) => sum + accumulator.unanswered, 0);
  }

  function isIdle(): boolean {
    return waitingAdd === undefined && unanswered() === 0;
  }

  function watchLinger(): void {
    if (settings.lingerMs === 0 || lingerTimer !== undefined) return;
    const due = Math.min(...allAccumulators().map(({ lingerEndMs }) => lingerEndMs ?? Number.POSITIVE_INFINITY));
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
      for (const accumulator of allAccumulators()) accumulator.expire(performance.now());
      pump();
    }, expiryIntervalMs);
  }

  /**
   * Encodes a record and adds it, behind `before`; the waiter hears of everything that happens after that. Nothing waits in the usual case; a record may have to for its
   * schema, its topic or the budget. One without a timestamp gets `nowMs`, by the wall clock.
   */
  function add<In>(
    like: TopicLike<In, unknown>,
    record: ProducerRecord<In>,
    callOptions: SendOptions,
    waiter: PlacedWaiter,
    nowMs: number,
    before: Promise<void> | undefined,
  ): Promise<void> | undefined {
    const { name, codec } = topicOf(like);
    checkObject("record", record);
    const value = codec.encode(record.value);
    if (before === undefined && !(value instanceof Promise)) {
      const partitions = topics.peek(name, callOptions.startMs);
      const encodable = encodableOf(record, value, nowMs);
      const bytes = checkedBytes(encodable);
      if (partitions !== undefined && budget.take(bytes)) {
        place(name, partitions, encodable, bytes, record, waiter);
        return undefined;
      }
    }
    if (value instanceof Promise) value.catch(nothing);
    return (async () => {
      if (before !== undefined) await bounded(before, left(callOptions), "the send");
      const encodable = encodableOf(
        record,
        value instanceof Promise ? await bounded(value, left(callOptions), "the send") : value,
        nowMs,
      );
      const partitions = topics.peek(name, performance.now()) ?? (await topics.partitions(name, left(callOptions)));
      const bytes = checkedBytes(encodable);
      if (!budget.take(bytes)) await budget.wait(bytes, left(callOptions));
      place(name, partitions, encodable, bytes, record, waiter);
    })();
  }

  /** What waits makes all later sends wait behind it: they keep their order. */
  function hold(own: Promise<void>): void {
    // One that gave up does not let those behind it overtake those before it.
    const turn = Promise.allSettled([waitingAdd, own]).then(() => {
      if (waitingAdd !== turn) return;
      waitingAdd = undefined;
      // Whoever flushes may have waited for this one.
      schedule();
    });
    waitingAdd = turn;
  }

  /** Adds the records of a batch in their order, those of a large one in parts. */
  function addAll<In>(
    like: TopicLike<In, unknown>,
    records: readonly ProducerRecord<In>[],
    callOptions: SendOptions,
    batch: BatchResults,
  ): void {
    const added = Promise.withResolvers<void>();
    let isAdded = false;
    const addFrom = (first: number): void => {
      const endBytes = addedBytes + partBytes;
      const nowMs = Date.now();
      for (let index = first; index < records.length; index++) {
        if (batch.results[index] !== undefined) continue;
        if (isClosed) {
          batch.failFrom(index, closedError());
          break;
        }
        if (addedBytes >= endBytes) {
          turns.run(() => addFrom(index));
          return;
        }
        const waiter = new BatchWaiter(callOptions.deadlineMs, batch, index);
        try {
          const waiting = add(like, records[index] as (typeof records)[number], callOptions, waiter, nowMs, undefined);
          if (waiting === undefined) continue;
          const next = (): void => addFrom(index + 1);
          waiting.then(next, (error: unknown) => {
            waiter.failed(GmqError.from(error));
            next();
          });
          return;
        } catch (error) {
          waiter.failed(GmqError.from(error));
        }
      }
      isAdded = true;
      added.resolve();
    };
    const begin = (): void => turns.run(() => addFrom(0));
    if (waitingAdd === undefined) begin();
    else
      bounded(waitingAdd, left(callOptions), "the send").then(begin, (error: unknown) => {
        batch.failFrom(0, GmqError.from(error));
        begin();
      });
    if (!isAdded) hold(added.promise);
  }

  /** Adds a record whose bytes the budget holds already; gives them back when it cannot be added. */
  function place<In>(
    name: string,
    partitions: number,
    encodable: EncodableRecord,
    bytes: number,
    record: ProducerRecord<In>,
    waiter: PlacedWaiter,
  ): void {
    try {
      if (isClosed) throw closedError();
      const partition = partitioner.choose(name, partitions, encodable.key, record.partition);
      waiter.partition = partition;
      accumulatorOf(name, partition).add(encodable, bytes, tagsOf(record), waiter);
      addedBytes += bytes;
      turns.count(bytes);
    } catch (error) {
      budget.give(bytes);
      // It may have grown since: the next send asks.
      if (GmqError.is(error, "partition_not_found")) topics.forget(name);
      throw error;
    }
    schedule();
  }

  function callOptionsOf(given: CallOptions | undefined): SendOptions {
    const startMs = performance.now();
    return { signal: given?.signal, startMs, deadlineMs: startMs + (given?.timeoutMs ?? settings.timeoutMs) };
  }

  const detach = link.attach({
    opened() {
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
    isClosed = true;
    detach();
    clearTimeout(lingerTimer);
    clearTimeout(expiryTimer);
    const error = late ?? closedError();
    budget.close(error);
    for (const accumulator of allAccumulators()) accumulator.close(error);
    byTopic.clear();
    closed();
  }

  const producer: Producer = {
    send(like, record, given) {
      if (closing !== undefined) return Promise.reject(closedError());
      const callOptions = callOptionsOf(given);
      const sent = new Promise<StoredRecord>((resolve, reject) => {
        try {
          checkTimeout(given?.timeoutMs);
          const waiting = add(
            like,
            record,
            callOptions,
            new SendWaiter(callOptions.deadlineMs, resolve, reject),
            Date.now(),
            waitingAdd,
          );
          if (waiting === undefined) return;
          waiting.catch(reject);
          hold(waiting);
        } catch (error) {
          reject(GmqError.from(error));
        }
      });
      return callOptions.signal === undefined ? sent : bounded(sent, { signal: callOptions.signal }, "the send");
    },

    async sendBatch(like, records, given) {
      checkTimeout(given?.timeoutMs);
      if (records.length === 0) return [];
      const callOptions = callOptionsOf(given);
      const { signal } = callOptions;
      const { promise, resolve } = Promise.withResolvers<void>();
      const batch = new BatchResults(records.length, resolve);
      const abort = (): void =>
        batch.failFrom(0, new GmqError("cancelled", "the send was given up", { cause: signal?.reason }));
      signal?.addEventListener("abort", abort, { once: true });
      if (signal?.aborted === true) abort();
      else if (closing !== undefined) batch.failFrom(0, closedError());
      else addAll(like, records, callOptions, batch);
      await promise;
      signal?.removeEventListener("abort", abort);
      return batch.results;
    },

    async flush(flushOptions = {}) {
      if (isIdle()) return;
      flushing++;
      let done: (() => void) | undefined;
      try {
        const idle = new Promise<void>((resolve) => {
          done = resolve;
          idleWaiters.add(resolve);
        });
        schedule();
        await bounded(idle, flushOptions, "the flush");
      } finally {
        flushing--;
        if (done !== undefined) idleWaiters.delete(done);
      }
    },

    close({ timeoutMs = 10_000 } = {}) {
      closing ??= close(timeoutMs);
      return closing;
    },

    [Symbol.asyncDispose]: () => producer.close(),
  };
  return producer;
}

/** What a send may take. */
interface SendOptions {
  readonly signal: AbortSignal | undefined;
  /** By `performance.now()`, as is the deadline. */
  readonly startMs: number;
  readonly deadlineMs: number;
}

/** Each of the waits of a send gets what is left of its time. */
function left({ signal, deadlineMs }: SendOptions): CallOptions {
  const timeoutMs = Math.max(1, deadlineMs - performance.now());
  return signal === undefined ? { timeoutMs } : { timeoutMs, signal };
}

function nothing(): void {
  // its own caller was told
}

/** 63 random bits, never 0. */
function randomProducerId(): bigint {
  return (randomBytes(8).readBigUInt64LE() >> 1n) | 1n;
}

function closedError(): GmqError {
  return new GmqError("closed", "the producer is closed");
}
