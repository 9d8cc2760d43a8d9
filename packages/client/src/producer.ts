/**
 * Publish in the client. `send` encodes, chooses the partition and adds to that partition's accumulator; once a turn everything that is ready goes out in
 * one frame per topic. A promise per `send`, nothing else per record. After a lost session every unanswered batch is sent again under its number.
 */
import { randomBytes } from "node:crypto";
import { type EncodableRecord, GmqError, limits, type SpareBuffers } from "@gmq/protocol";
import { createByteBudget } from "./byte-budget.js";
import { bounded, type CallOptions } from "./call-options.js";
import { checkObject, checkTimeout } from "./checked-values.js";
import type { Link } from "./link.js";
import { createOutbox } from "./outbox.js";
import { createPartitionAccumulator, type PartitionAccumulator, type RecordWaiter } from "./partition-accumulator.js";
import { createPartitioner } from "./partitioner.js";
import { checkProducer, type ProducerOptions } from "./producer-options.js";
import { checkedBytes, encodableOf, type ProducerRecord, tagsOf } from "./producer-record.js";
import { type TopicLike, topicOf } from "./topic.js";
import type { TopicDirectory } from "./topic-directory.js";

/** Where a record was stored. */
export interface StoredRecord {
  readonly partition: number;
  /** -1n: the record is kept until its `deliverAt` comes, and gets its offset then. */
  readonly offset: bigint;
  /** It was stored by an earlier try, or by another record with its dedupe id. */
  readonly duplicate: boolean;
}

/** One record's fate in `sendBatch`. */
export type SendResult = ({ readonly ok: true } & StoredRecord) | { readonly ok: false; readonly error: GmqError };

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
  /** Sends many records; one result each, in order. Does not throw for single records. */
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

/**
 * A class for the hot path: after a burst, in which they live long, V8 makes the objects of a literal old from the start, and each then keeps its promise and its record until
 * the next collection of the whole heap. Those of a class begin young.
 */
class Waiter implements RecordWaiter {
  /** Known when the record is added. */
  partition = -1;
  readonly deadlineMs: number;
  readonly answer: (partition: number, offset: bigint, duplicate: boolean) => void;
  readonly failed: (error: GmqError) => void;

  constructor(deadlineMs: number, answer: Waiter["answer"], failed: Waiter["failed"]) {
    this.deadlineMs = deadlineMs;
    this.answer = answer;
    this.failed = failed;
  }

  stored(offset: bigint, duplicate: boolean): void {
    this.answer(this.partition, offset, duplicate);
  }
}

/** Makes a producer over a link. */
export function createProducer(
  link: Link,
  topics: TopicDirectory,
  spares: SpareBuffers,
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
  /** The last record that had to wait before it could be added. */
  let waitingAdd: Promise<void> | undefined;
  /** Set: no new sends are taken; those that wait still go out until it is closed. */
  let closing: Promise<void> | undefined;
  let isClosed = false;

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
   * Encodes a record and adds it; the waiter hears of everything that happens after that. Nothing waits in the usual case. A record that has to wait (for the
   * schema, the topic or the budget) makes all later ones wait behind it: sends keep their order.
   */
  function add<In>(
    like: TopicLike<In, unknown>,
    record: ProducerRecord<In>,
    callOptions: SendOptions,
    waiter: Waiter,
  ): Promise<void> | undefined {
    const { name, codec } = topicOf(like);
    checkObject("record", record);
    const value = codec.encode(record.value);
    if (waitingAdd === undefined && !(value instanceof Promise)) {
      const partitions = topics.peek(name);
      const encodable = encodableOf(record, value);
      const bytes = checkedBytes(encodable);
      if (partitions !== undefined && budget.take(bytes)) {
        place(name, partitions, encodable, bytes, record, waiter);
        return undefined;
      }
    }
    const before = waitingAdd;
    if (value instanceof Promise) value.catch(nothing);
    const own = (async () => {
      if (before !== undefined) await bounded(before, left(callOptions), "the send");
      const encodable = encodableOf(
        record,
        value instanceof Promise ? await bounded(value, left(callOptions), "the send") : value,
      );
      const partitions = topics.peek(name) ?? (await topics.partitions(name, left(callOptions)));
      const bytes = checkedBytes(encodable);
      if (!budget.take(bytes)) await budget.wait(bytes, left(callOptions));
      place(name, partitions, encodable, bytes, record, waiter);
    })();
    // One that gave up does not let those behind it overtake those before it.
    const turn = Promise.allSettled([before, own]).then(() => {
      if (waitingAdd !== turn) return;
      waitingAdd = undefined;
      // Whoever flushes may have waited for this one.
      schedule();
    });
    waitingAdd = turn;
    return own;
  }

  /** Adds a record whose bytes the budget holds already; gives them back when it cannot be added. */
  function place<In>(
    name: string,
    partitions: number,
    encodable: EncodableRecord,
    bytes: number,
    record: ProducerRecord<In>,
    waiter: Waiter,
  ): void {
    try {
      if (isClosed) throw closedError();
      const partition = partitioner.choose(name, partitions, encodable.key, record.partition);
      waiter.partition = partition;
      accumulatorOf(name, partition).add(encodable, bytes, tagsOf(record), waiter);
    } catch (error) {
      budget.give(bytes);
      // It may have grown since: the next send asks.
      if (GmqError.is(error, "partition_not_found")) topics.forget(name);
      throw error;
    }
    schedule();
  }

  function callOptionsOf(given: CallOptions | undefined): SendOptions {
    return { signal: given?.signal, deadlineMs: performance.now() + (given?.timeoutMs ?? settings.timeoutMs) };
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
        const stored: Waiter["answer"] = (partition, offset, duplicate) => resolve({ partition, offset, duplicate });
        try {
          checkTimeout(given?.timeoutMs);
          add(like, record, callOptions, new Waiter(callOptions.deadlineMs, stored, reject))?.catch(reject);
        } catch (error) {
          reject(GmqError.from(error));
        }
      });
      return callOptions.signal === undefined ? sent : bounded(sent, { signal: callOptions.signal }, "the send");
    },

    async sendBatch(like, records, given) {
      checkTimeout(given?.timeoutMs);
      const callOptions = callOptionsOf(given);
      const results = new Array<SendResult>(records.length);
      const refused = closing !== undefined;
      await new Promise<void>((resolve) => {
        let open = records.length;
        const settled = (index: number, result: SendResult): void => {
          if (results[index] !== undefined) return;
          results[index] = result;
          if (--open > 0) return;
          callOptions.signal?.removeEventListener("abort", abort);
          resolve();
        };
        const abort = (): void => {
          const error = new GmqError("cancelled", "the send was given up", { cause: callOptions.signal?.reason });
          for (let index = 0; index < records.length; index++) settled(index, { ok: false, error });
        };
        callOptions.signal?.addEventListener("abort", abort, { once: true });
        if (callOptions.signal?.aborted === true) abort();
        if (open === 0) resolve();
        void (async () => {
          // One after the other, so that they keep their order when some have to wait.
          for (let index = 0; index < records.length; index++) {
            const fail = (error: GmqError): void => settled(index, { ok: false, error });
            if (results[index] !== undefined) continue;
            if (refused || isClosed) {
              fail(closedError());
              continue;
            }
            const stored: Waiter["answer"] = (partition, offset, duplicate) =>
              settled(index, { ok: true, partition, offset, duplicate });
            try {
              const waiter = new Waiter(callOptions.deadlineMs, stored, fail);
              const waiting = add(like, records[index] as (typeof records)[number], callOptions, waiter);
              if (waiting !== undefined) await waiting;
            } catch (error) {
              fail(GmqError.from(error));
            }
          }
        })();
      });
      return results;
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
  /** By `performance.now()`. */
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
