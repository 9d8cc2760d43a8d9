/**
 * The way of a record into its accumulator: encoded, given a partition, added, in the order of sends. What has to wait (for its schema, its topic or the byte budget), and a
 * batch of which a part has, holds back what is sent later.
 */
import { type EncodableRecord, GmqError } from "@gmq/protocol";
import type { ByteBudget } from "./byte-budget.js";
import { bounded, type CallOptions } from "./call-options.js";
import { checkObject } from "./checked-values.js";
import type { EncodeTurns } from "./encode-turns.js";
import type { PartitionAccumulator } from "./partition-accumulator.js";
import { createPartitioner } from "./partitioner.js";
import { checkedBytes, encodableOf, type ProducerRecord, tagsOf } from "./producer-record.js";
import { type BatchResults, BatchWaiter, type PlacedWaiter } from "./record-waiters.js";
import { type TopicLike, topicOf } from "./topic.js";
import type { TopicDirectory } from "./topic-directory.js";

/** What a send may take. */
export interface SendLimits {
  readonly signal: AbortSignal | undefined;
  /** By `performance.now()`, as is the deadline. */
  readonly startMs: number;
  readonly deadlineMs: number;
}

/** Each of the waits of a send gets what is left of its time. */
function left({ signal, deadlineMs }: SendLimits): CallOptions {
  const timeoutMs = Math.max(1, deadlineMs - performance.now());
  return signal === undefined ? { timeoutMs } : { timeoutMs, signal };
}

export interface RecordIntake {
  /**
   * Adds a record; the waiter hears of everything that happens after that. Returns a promise only when it has to wait, which rejects with what keeps it from being added.
   * @throws GmqError as `Producer.send` says
   */
  add<In>(
    like: TopicLike<In, unknown>,
    record: ProducerRecord<In>,
    sendLimits: SendLimits,
    waiter: PlacedWaiter,
  ): Promise<void> | undefined;
  /** Adds the records of a batch in their order, those of a large one in parts; each record's fate goes to `batch`. */
  addAll<In>(
    like: TopicLike<In, unknown>,
    records: readonly ProducerRecord<In>[],
    sendLimits: SendLimits,
    batch: BatchResults,
  ): void;
  /** Resolves when what waits now is added or refused; undefined: nothing waits. */
  readonly waiting: Promise<unknown> | undefined;
  /** What was added so far is sent: the next records without a key go to the next partition. */
  endTurn(): void;
  /** Refuses what waits and what comes. */
  close(): void;
}

/** What an intake works with. */
export interface IntakeParts {
  readonly topics: TopicDirectory;
  readonly turns: EncodeTurns;
  readonly budget: ByteBudget;
  readonly waitingBytesMax: number;
  /** Asked for each record: another broker may take less. */
  recordBytesMax(): number;
  accumulatorOf(topic: string, partition: number): PartitionAccumulator;
  /** Sends what was added at the end of the turn. */
  schedule(): void;
}

/** A batch of more than this is encoded in parts. */
const partBytes = 1024 * 1024;

/** What the send of a record keeps beside its value while it waits, about. */
const waitingSendBytes = 1_024;

/** What a record counts while it waits and is not encoded yet, at least. */
function bytesWhileWaiting(record: { readonly value: unknown }): number {
  const value = record?.value;
  const valueBytes = value instanceof Uint8Array || typeof value === "string" ? value.length : 0;
  return waitingSendBytes + valueBytes;
}

/** Makes the intake of a producer. */
export function createRecordIntake({
  topics,
  turns,
  budget,
  waitingBytesMax,
  recordBytesMax,
  accumulatorOf,
  schedule,
}: IntakeParts): RecordIntake {
  const partitioner = createPartitioner();
  /** The last record or batch that had to wait before it could be added. */
  let waitingAdd: Promise<void> | undefined;
  let waitingBytes = 0;
  let isClosed = false;
  /** Of all records so far. */
  let addedBytes = 0;

  /**
   * Encodes a record and adds it, one that is sent `alone` behind all that waits; the waiter hears of everything that happens after that. Nothing waits in the usual case; a
   * record may have to for its schema, its topic or the budget. One without a timestamp gets `nowMs`, by the wall clock.
   */
  function encode<In>(
    like: TopicLike<In, unknown>,
    record: ProducerRecord<In>,
    sendLimits: SendLimits,
    waiter: PlacedWaiter,
    nowMs: number,
    alone: boolean,
  ): Promise<void> | undefined {
    const { name, codec } = topicOf(like);
    checkObject("record", record);
    const before = alone ? waitingAdd : undefined;
    const value = codec.encode(record.value);
    let encoded: EncodableRecord | undefined;
    let bytes = 0;
    if (value instanceof Promise) value.catch(nothing);
    else {
      encoded = encodableOf(record, value, nowMs);
      bytes = checkedBytes(encoded, recordBytesMax());
      const partitions = before === undefined ? topics.peek(name, sendLimits.startMs) : undefined;
      if (partitions !== undefined && budget.take(bytes)) {
        place(name, partitions, encoded, bytes, record, waiter);
        return undefined;
      }
    }
    const bytesIfWaiting = encoded === undefined ? bytesWhileWaiting(record) : waitingSendBytes + bytes;
    const refusal = alone ? refusalOf(bytesIfWaiting) : undefined;
    if (refusal !== undefined) throw refusal;
    const waiting = (async () => {
      if (before !== undefined) await bounded(before, left(sendLimits), "the send");
      if (value instanceof Promise)
        encoded = encodableOf(record, await bounded(value, left(sendLimits), "the send"), nowMs);
      const encodable = encoded as EncodableRecord;
      const partitions = topics.peek(name, performance.now()) ?? (await topics.partitions(name, left(sendLimits)));
      bytes = checkedBytes(encodable, recordBytesMax());
      if (!budget.take(bytes)) await budget.wait(bytes, left(sendLimits));
      place(name, partitions, encodable, bytes, record, waiter);
    })();
    if (alone) hold(waiting, bytesIfWaiting);
    return waiting;
  }

  /** Why what would wait is refused, when there is no room for more that waits; one alone always has room. */
  function refusalOf(bytes: number): GmqError | undefined {
    if (waitingAdd === undefined || waitingBytes + bytes <= waitingBytesMax) return undefined;
    return new GmqError("resource_exhausted", "too many sends wait; await some of them before sending more", {
      field: "waitingBytesMax",
      limit: `${waitingBytesMax} bytes`,
    });
  }

  /** What waits makes all later sends wait behind it: they keep their order. */
  function hold(own: Promise<void>, bytes: number): void {
    waitingBytes += bytes;
    const leave = (): void => {
      waitingBytes -= bytes;
    };
    own.then(leave, leave);
    // One that gave up does not let those behind it overtake those before it.
    const turn = Promise.allSettled([waitingAdd, own]).then(() => {
      if (waitingAdd !== turn) return;
      waitingAdd = undefined;
    });
    waitingAdd = turn;
  }

  /** Adds the records of a batch in their order, those of a large one in parts. */
  function addAll<In>(
    like: TopicLike<In, unknown>,
    records: readonly ProducerRecord<In>[],
    sendLimits: SendLimits,
    batch: BatchResults,
  ): void {
    // Counted only where something waits: most batches do not.
    const bytesIfWaiting = (): number => records.reduce((sum, record) => sum + bytesWhileWaiting(record), 0);
    const refusal = waitingAdd === undefined ? undefined : refusalOf(bytesIfWaiting());
    if (refusal !== undefined) {
      batch.failFrom(0, refusal);
      return;
    }
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
        const waiter = new BatchWaiter(sendLimits.deadlineMs, batch, index);
        try {
          const waiting = encode(like, records[index] as (typeof records)[number], sendLimits, waiter, nowMs, false);
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
      bounded(waitingAdd, left(sendLimits), "the send").then(begin, (error: unknown) => {
        batch.failFrom(0, GmqError.from(error));
        begin();
      });
    if (!isAdded) hold(added.promise, bytesIfWaiting());
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

  return {
    add(like, record, sendLimits, waiter) {
      return encode(like, record, sendLimits, waiter, Date.now(), true);
    },
    addAll,
    get waiting() {
      return waitingAdd;
    },
    endTurn: partitioner.endTurn,
    close() {
      isClosed = true;
    },
  };
}

function nothing(): void {
  // its own caller was told
}

/** Why nothing more is taken. */
export function closedError(): GmqError {
  return new GmqError("closed", "the producer is closed");
}
