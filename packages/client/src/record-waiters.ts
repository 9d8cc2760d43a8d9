/**
 * Who waits for one record's fate. Classes for the hot path: after a burst, in which they live long, V8 makes the objects of a literal old from the start, and each then keeps
 * its promise and its record until the next collection of the whole heap. Those of a class begin young.
 */
import type { GmqError } from "@gmq/protocol";

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

/** What a record's waiter is told. */
export interface RecordWaiter {
  /** By `performance.now()`; Infinity: no deadline. */
  readonly deadlineMs: number;
  /** `offset` is -1n for a record that is kept until its time comes. */
  stored(offset: bigint, duplicate: boolean): void;
  failed(error: GmqError): void;
}

/** One that is told the record's partition when it is added. */
export interface PlacedWaiter extends RecordWaiter {
  partition: number;
}

/** Of a record that is sent by itself. */
export class SendWaiter implements PlacedWaiter {
  partition = -1;
  readonly deadlineMs: number;
  readonly failed: (error: unknown) => void;
  readonly #resolve: (stored: StoredRecord) => void;

  constructor(deadlineMs: number, resolve: (stored: StoredRecord) => void, reject: (error: unknown) => void) {
    this.deadlineMs = deadlineMs;
    this.#resolve = resolve;
    this.failed = reject;
  }

  stored(offset: bigint, duplicate: boolean): void {
    this.#resolve({ partition: this.partition, offset, duplicate });
  }
}

/** The results of a `sendBatch`, one for each record. */
export class BatchResults {
  readonly results: SendResult[];
  #open: number;
  readonly #done: () => void;

  /** `done` is called once, when every record has its result. */
  constructor(records: number, done: () => void) {
    this.results = new Array<SendResult>(records);
    this.#open = records;
    this.#done = done;
  }

  /** Only the first result of a record counts. */
  settle(index: number, result: SendResult): void {
    if (this.results[index] !== undefined) return;
    this.results[index] = result;
    if (--this.#open === 0) this.#done();
  }

  /** The error of every record from `from` on that has no result yet. */
  failFrom(from: number, error: GmqError): void {
    for (let index = from; index < this.results.length; index++) this.settle(index, { ok: false, error });
  }
}

/** Of a record of a `sendBatch`. */
export class BatchWaiter implements PlacedWaiter {
  partition = -1;
  readonly deadlineMs: number;
  readonly #batch: BatchResults;
  readonly #index: number;

  constructor(deadlineMs: number, batch: BatchResults, index: number) {
    this.deadlineMs = deadlineMs;
    this.#batch = batch;
    this.#index = index;
  }

  stored(offset: bigint, duplicate: boolean): void {
    this.#batch.settle(this.#index, { ok: true, partition: this.partition, offset, duplicate });
  }

  failed(error: GmqError): void {
    this.#batch.settle(this.#index, { ok: false, error });
  }
}
