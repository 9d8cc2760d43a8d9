/**
 * One partition's records on their way out. Gathers records into batches, numbers them when they are first sent, keeps at most `inFlightMax` batches
 * unanswered, and after a failure sends again in order under the same numbers. Knows nothing of connections: the producer takes what is ready and
 * reports what became of it.
 */
import {
  batchChecksum,
  type CodecName,
  compressBatch,
  createBatchEncoder,
  type EncodableRecord,
  GmqError,
  hasSeededBug,
  limits,
  type SpareBuffers,
} from "@gmq/protocol";
import type { RecordTags } from "./producer-record.js";
import type { RecordWaiter } from "./record-waiters.js";
import { type Batch, isLater, isWorthRetrying, outgoingOf, type SealedBatch } from "./sealed-batch.js";

export interface PartitionAccumulator {
  /** Adds a record of at most `recordBytes` encoded bytes. */
  add(record: EncodableRecord, recordBytes: number, tags: RecordTags | undefined, waiter: RecordWaiter): void;
  /** Takes the next batch to send, undefined when none is ready or enough are in flight. `now`: seal what gathers, whatever the linger. */
  next(now: boolean): SealedBatch | undefined;
  stored(batch: SealedBatch, firstOffset: bigint, duplicate: boolean): void;
  failed(batch: SealedBatch, error: GmqError): void;
  /** Fails the records whose deadline has passed. What was sent may be stored all the same. */
  expire(nowMs: number): void;
  /** Ends the linger of what gathers; the returned function tells whether everything added before is answered. */
  flush(): () => boolean;
  /** Fails everything. */
  close(error: GmqError): void;
  /** Records that are not answered. */
  readonly unanswered: number;
  /** Nothing gathers, waits or is in flight. */
  readonly isEmpty: boolean;
  /** When gathered records are due, by `performance.now()`; undefined: nothing gathers. */
  readonly lingerEndMs: number | undefined;
}

export interface AccumulatorOptions {
  /** 0n: not idempotent. */
  readonly producerId: bigint;
  /** Read for each record: another broker may take less. */
  readonly batchBytesMax: number;
  readonly batchRecordsMax: number;
  readonly lingerMs: number;
  readonly codec: CodecName;
  readonly inFlightMax: number;
  readonly spares: SpareBuffers;
  /** A batch became ready by itself (compressed, or its retry time came): take it. */
  ready(): void;
  /** A batch begins to gather: it is not empty any more. */
  began(): void;
  /** Bytes left the accumulator. */
  freed(bytes: number): void;
}

const retryMsMin = 20;
const retryMsMax = 2_000;
/** A batch that was never left without a verdict begins a new epoch after so many gaps in a row; once more under its number costs less. */
const gapsOfCertainMax = 2;
const numbersRetriesAnew = hasSeededBug("retry-with-new-sequence");

/** Makes an empty accumulator. */
export function createPartitionAccumulator(options: AccumulatorOptions): PartitionAccumulator {
  const encoder = createBatchEncoder(Math.min(options.batchBytesMax, 16 * 1024), options.spares);
  let gathering: { readonly waiters: (RecordWaiter | undefined)[]; bytes: number; dueMs: number } | undefined;
  /** Sealed, oldest first; those in front may be in flight. */
  const batches: Batch[] = [];
  let inFlight = 0;
  let epoch = 0;
  let nextSequence = 0;
  let unanswered = 0;
  let sealedCount = 0;
  let recovering = false;
  let retries = 0;
  let retryTimer: NodeJS.Timeout | undefined;

  function seal(tags: RecordTags | undefined): void {
    if (gathering === undefined) return;
    const { waiters, bytes } = gathering;
    gathering = undefined;
    const records = encoder.take();
    const batch: Batch = {
      waiters,
      tags,
      recordCount: waiters.length,
      budgetBytes: bytes,
      state: options.codec === "none" ? "ready" : "compressing",
      records,
      crc32: options.codec === "none" ? batchChecksum(records) : 0,
      uncompressedBytes: records.length,
      number: undefined,
      sendings: 0,
      ordinal: sealedCount++,
      gaps: 0,
      uncertain: false,
      error: undefined,
      lastError: undefined,
      outgoing: () => outgoingOf(batch, options.codec, options.producerId),
    };
    batches.push(batch);
    if (options.codec !== "none") void compress(batch);
  }

  async function compress(batch: Batch): Promise<void> {
    const plain = batch.records;
    try {
      batch.records = await compressBatch(options.codec, plain);
      giveBack(plain);
      batch.crc32 = batchChecksum(batch.records);
      batch.state = "ready";
    } catch (error) {
      remove(batch);
      fail(batch, GmqError.from(error));
    }
    options.ready();
  }

  /** Of bytes that the encoder made: the whole buffer that they lie in. */
  function giveBack(records: Uint8Array): void {
    options.spares.give(Buffer.from(records.buffer as ArrayBuffer));
  }

  function take(batch: Batch): SealedBatch {
    if (batch.number === undefined) {
      batch.number = { epoch, sequence: nextSequence };
      // A delayed batch is known by its id: it has no place in the producer's sequence.
      if (!isLater(batch)) nextSequence += batch.recordCount;
    }
    batch.state = "sent";
    batch.sendings++;
    inFlight++;
    return batch;
  }

  function remove(batch: Batch): void {
    const at = batches.indexOf(batch);
    if (at < 0) return;
    batches.splice(at, 1);
    options.freed(batch.budgetBytes);
  }

  /** A batch whose other records still have time goes out whole: what expired here may be stored all the same. */
  function expireWaiters(waiters: (RecordWaiter | undefined)[], nowMs: number, lastError: GmqError | undefined): void {
    waiters.forEach((waiter, index) => {
      if (waiter === undefined || waiter.deadlineMs > nowMs) return;
      waiters[index] = undefined;
      unanswered--;
      waiter.failed(expired(lastError));
    });
  }

  function fail(batch: Batch, error: GmqError): void {
    for (const waiter of batch.waiters) {
      if (waiter === undefined) continue;
      unanswered--;
      waiter.failed(error);
    }
    batch.waiters.length = 0;
  }

  /** After a failure nothing new is sent until every batch in flight is answered: only then it is known what has to go again, and in which order. */
  function settleFailures(): void {
    if (inFlight > 0) return;
    // Only the oldest batch's refusal is final: what became of those before another one is not known yet.
    const [oldest] = batches;
    const refused = oldest?.state === "again" && !isWorthRetrying(oldest) ? oldest : undefined;
    if (refused?.error?.code === "out_of_order") giveUpUncertain();
    else if (refused !== undefined) {
      remove(refused);
      fail(refused, refused.error as GmqError);
      // A delayed batch has no place in the sequence, so it leaves no gap.
      if (!isLater(refused)) renumber();
    }
    // Refused by every way that it went: it is nowhere, so it may be numbered anew. The store has lost, or never had, what came before it.
    if (numbersRetriesAnew || (oldest?.gaps === gapsOfCertainMax && !oldest.uncertain)) renumber();
    for (const batch of batches) {
      if (batch.state !== "again") continue;
      batch.state = "ready";
      batch.error = undefined;
    }
    const delayMs =
      refused === undefined
        ? Math.min(retryMsMax, retryMsMin * 2 ** Math.min(retries++, 10)) * (0.5 + Math.random() / 2)
        : 0;
    retryTimer = setTimeout(() => {
      retryTimer = undefined;
      recovering = false;
      options.ready();
    }, delayMs);
  }

  /** The gap stays, so the numbers are lost; what was ever left without a verdict may be stored or not, and must not be sent under another number. */
  function giveUpUncertain(): void {
    const uncertain = batches.filter((batch) => batch.uncertain);
    for (const batch of uncertain) {
      remove(batch);
      fail(
        batch,
        new GmqError("unknown_outcome", "the log does not remember what came before: the record may be stored"),
      );
    }
    renumber();
  }

  /** A refused batch leaves a gap in the numbers: what comes behind it begins anew under a higher epoch. */
  function renumber(): void {
    epoch++;
    nextSequence = 0;
    for (const batch of batches) {
      batch.number = undefined;
      batch.gaps = 0;
    }
  }

  return {
    add(record, recordBytes, tags, waiter) {
      // A record with a dedupe id travels alone: the id names the whole batch.
      const full =
        gathering !== undefined &&
        (encoder.byteLength + recordBytes > options.batchBytesMax ||
          gathering.waiters.length >= options.batchRecordsMax);
      if (full || tags !== undefined) seal(undefined);
      encoder.add(record);
      if (gathering === undefined) {
        gathering = { waiters: [], bytes: 0, dueMs: performance.now() + options.lingerMs };
        options.began();
      }
      gathering.waiters.push(waiter);
      gathering.bytes += recordBytes;
      unanswered++;
      if (tags !== undefined) seal(tags);
    },

    next(now) {
      if (recovering || inFlight >= options.inFlightMax) return undefined;
      const sealed = batches.find(({ state }) => state !== "sent");
      // The log remembers so many batches of a producer: one that is sent again must be among them, however many were answered since.
      const nextOrdinal = sealed?.ordinal ?? sealedCount;
      if (nextOrdinal - (batches[0]?.ordinal ?? nextOrdinal) >= limits.batchesPerProducer) return undefined;
      if (sealed !== undefined) return sealed.state === "ready" ? take(sealed) : undefined;
      if (gathering === undefined || (!now && performance.now() < gathering.dueMs)) return undefined;
      seal(undefined);
      const batch = batches.at(-1);
      return batch?.state === "ready" ? take(batch) : undefined;
    },

    stored(handle, firstOffset, duplicate) {
      const batch = handle as Batch;
      inFlight--;
      retries = 0;
      remove(batch);
      // Answered, so the broker has every byte of it; a socket that was lost may still hold an earlier sending.
      if (batch.sendings === 1 && options.codec === "none") giveBack(batch.records);
      batch.waiters.forEach((waiter, index) => {
        if (waiter === undefined) return;
        unanswered--;
        waiter.stored(firstOffset < 0n ? firstOffset : firstOffset + BigInt(index), duplicate);
      });
      if (recovering) settleFailures();
    },

    failed(handle, error) {
      const batch = handle as Batch;
      inFlight--;
      batch.state = "again";
      batch.error = error;
      batch.lastError = error;
      if (error.code !== "out_of_order") batch.uncertain = true;
      else if (batch === batches[0]) batch.gaps++;
      recovering = true;
      settleFailures();
    },

    expire(nowMs) {
      // What is behind a batch that fails waits for the same reason.
      const lastError = batches[0]?.lastError;
      for (const batch of [...batches]) {
        expireWaiters(batch.waiters, nowMs, batch.lastError ?? lastError);
        // Never sent and nobody waits: no number was given, so nothing is missed.
        if (batch.number === undefined && batch.state === "ready" && batch.waiters.every(isNobody)) remove(batch);
      }
      if (gathering === undefined) return;
      expireWaiters(gathering.waiters, nowMs, lastError);
      if (!gathering.waiters.every(isNobody)) return;
      encoder.take();
      options.freed(gathering.bytes);
      gathering = undefined;
    },

    flush() {
      if (gathering !== undefined) gathering.dueMs = 0;
      const end = sealedCount + (gathering === undefined ? 0 : 1);
      return () =>
        unanswered === 0 ||
        (sealedCount >= end && batches.every(({ ordinal, waiters }) => ordinal >= end || waiters.every(isNobody)));
    },

    close(error) {
      clearTimeout(retryTimer);
      seal(undefined);
      for (const batch of batches.splice(0)) {
        options.freed(batch.budgetBytes);
        fail(batch, error);
      }
    },

    get unanswered() {
      return unanswered;
    },
    get isEmpty() {
      return gathering === undefined && batches.length === 0;
    },
    get lingerEndMs() {
      return gathering?.dueMs;
    },
  };
}

function expired(lastError: GmqError | undefined): GmqError {
  const fate = "no answer in time: the record may or may not be stored";
  const why = lastError === undefined ? "" : `; the last try failed with ${lastError.code}: ${lastError.message}`;
  return new GmqError("deadline_exceeded", `${fate}${why}`, { field: "timeoutMs", cause: lastError });
}

function isNobody(waiter: RecordWaiter | undefined): boolean {
  return waiter === undefined;
}
