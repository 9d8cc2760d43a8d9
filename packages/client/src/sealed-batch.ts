/** One batch of a producer on its way: what it is on the wire, and whether it is worth another sending. */
import { type CodecName, codecNumbers, type GmqError } from "@gmq/protocol";
import type { RecordTags } from "./producer-record.js";
import type { RecordWaiter } from "./record-waiters.js";

/** A batch as it is sent: the fields of gmq.v1.Batch. */
export interface OutgoingBatch {
  readonly recordCount: number;
  readonly codec: number;
  readonly crc32: number;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly firstSequence: bigint;
  readonly uncompressedBytes: number;
  readonly dedupeId?: string;
  readonly deliverAtMs?: bigint;
  readonly records: Uint8Array;
}

/** A batch on its way; a handle for the producer. */
export interface SealedBatch {
  readonly recordCount: number;
  /** Bytes that it holds of the producer's budget. */
  readonly budgetBytes: number;
  /** What to send, under its number. */
  outgoing(): OutgoingBatch;
}

/** The same as its accumulator knows it. */
export interface Batch extends SealedBatch {
  readonly waiters: (RecordWaiter | undefined)[];
  readonly tags: RecordTags | undefined;
  state: "compressing" | "ready" | "sent" | "again";
  records: Uint8Array;
  crc32: number;
  readonly uncompressedBytes: number;
  /** Given with the first sending; the log knows the batch by it. */
  number: { readonly epoch: number; readonly sequence: number } | undefined;
  sendings: number;
  /** Place among the batches of this partition. */
  readonly ordinal: number;
  /** Answers that said that an earlier batch is missing, while none was unanswered. */
  gaps: number;
  /** A sending of it ended without a verdict: it may lie in the log under its number. */
  uncertain: boolean;
  error: GmqError | undefined;
  /** Why the last try failed, for the one who waited in vain. */
  lastError: GmqError | undefined;
}

/** With the growing pause between them these take longer than any storage process keeps what it was cut off with. */
const gapsMax = 10;

/** What to send, under its number; `producerId` 0n: not idempotent. */
export function outgoingOf(batch: Batch, codec: CodecName, producerId: bigint): OutgoingBatch {
  const { recordCount, records, crc32, uncompressedBytes, tags, number } = batch;
  const isDelayed = isLater(batch);
  const idempotent = producerId !== 0n && !isDelayed;
  return {
    recordCount,
    codec: codecNumbers[codec],
    crc32,
    producerId: idempotent ? producerId : 0n,
    producerEpoch: idempotent ? (number?.epoch ?? 0) : 0,
    firstSequence: idempotent ? BigInt(number?.sequence ?? 0) : 0n,
    uncompressedBytes,
    ...(tags?.dedupeId === undefined ? {} : { dedupeId: tags.dedupeId }),
    ...(isDelayed ? { deliverAtMs: tags?.deliverAtMs ?? 0n } : {}),
    records,
  };
}

/** It is stored when its time comes. */
export function isLater({ tags }: Batch): boolean {
  return tags !== undefined && tags.deliverAtMs !== 0n;
}

/**
 * A gap is no last word: an earlier batch may have gone another way and arrive later, and this one itself may lie in the log by then. Under its old number
 * it is safe to send again; only a gap that stays (the store has lost what it had acknowledged) is given up.
 */
export function isWorthRetrying({ error, gaps }: Batch): boolean {
  return error === undefined || error.retryable || (error.code === "out_of_order" && gaps <= gapsMax);
}
