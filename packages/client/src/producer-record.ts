import { randomUUID } from "node:crypto";
import { type EncodableRecord, encodedRecordBytes, GmqError, limits } from "@gmq/protocol";
import { checkObject, momentMs } from "./checked-values.js";
import { bytesOf, checkDedupeId, checkedDeliverAt } from "./record-fields.js";

/** A record to send. */
export interface ProducerRecord<Value> {
  readonly value: Value;
  /** Records of one key go to one partition and keep their order. */
  readonly key?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string | Uint8Array>>;
  /** Sends to this partition, whatever the key. */
  readonly partition?: number;
  /** A second record with this id in the same partition is not stored again but answered with the first one's offset. 1 to 256 bytes. */
  readonly dedupeId?: string;
  /**
   * Not delivered before this time: the record is kept in the store until then, at most 366 days, and gets its offset only then, behind what was sent meanwhile. A
   * time that has passed means now.
   */
  readonly deliverAt?: Date | number;
  /**
   * Not handed to a handler when so many ms have passed since the send, or since `deliverAt` when that is later; 1 ms to 366 days, default: never expires. Consumers skip an
   * expired record by acking it. The end is reckoned by the producer's clock and judged by the consumer's: their difference shortens or lengthens it.
   */
  readonly ttlMs?: number;
  /** Milliseconds since the epoch or a Date; default: now. What `sendBatch` encodes together has one time. */
  readonly timestamp?: number | Date;
}

const utf8 = new TextEncoder();

/** The record as the batch codec takes it, with the timestamp `nowMs` when it has none. @throws GmqError `invalid_argument` */
export function encodableOf<In>(
  { key, headers, timestamp, ttlMs, deliverAt }: ProducerRecord<In>,
  value: Uint8Array,
  nowMs: number,
): EncodableRecord {
  return {
    key: key === undefined ? undefined : bytesOf("key", key),
    value,
    headers: headersOf(headers),
    timestampMs: timestamp === undefined ? nowMs : momentMs("timestamp", timestamp),
    expiresAtMs: ttlMs === undefined ? 0 : expiryOf(ttlMs, deliverAt),
  };
}

function expiryOf(ttlMs: number, deliverAt: Date | number | undefined): number {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1 || ttlMs > limits.ttlMsMax) {
    throw new GmqError("invalid_argument", `ttlMs is ${ttlMs}`, {
      field: "ttlMs",
      limit: `1 to ${limits.ttlMsMax} ms`,
    });
  }
  const nowMs = Date.now();
  return Math.max(nowMs, deliverAt === undefined ? nowMs : checkedDeliverAt(deliverAt, nowMs)) + ttlMs;
}

/** How a record is known to the log beside its producer's numbers, undefined when it is not. A record of these travels alone: they are its batch's. */
export interface RecordTags {
  readonly dedupeId: string | undefined;
  /** 0n: at once. */
  readonly deliverAtMs: bigint;
}

/** The record's tags; a delayed one without an id gets one, so that it is kept once however often it is sent. @throws GmqError `invalid_argument` */
export function tagsOf({ dedupeId, deliverAt }: ProducerRecord<unknown>): RecordTags | undefined {
  if (dedupeId !== undefined) checkDedupeId(dedupeId);
  if (deliverAt === undefined) return dedupeId === undefined ? undefined : { dedupeId, deliverAtMs: 0n };
  const nowMs = Date.now();
  const ms = checkedDeliverAt(deliverAt, nowMs);
  return { dedupeId: dedupeId ?? randomUUID(), deliverAtMs: ms > nowMs ? BigInt(ms) : 0n };
}

/** Bytes that the record takes in a batch. @throws GmqError `record_too_large` */
export function checkedBytes(encodable: EncodableRecord, bytesMax: number): number {
  const bytes = encodedRecordBytes(encodable);
  if (bytes <= bytesMax) return bytes;
  throw new GmqError("record_too_large", `the record takes ${bytes} bytes`, {
    field: "value",
    limit: `${bytesMax} bytes`,
  });
}

function headersOf(headers: Readonly<Record<string, string | Uint8Array>> | undefined): EncodableRecord["headers"] {
  if (headers === undefined) return undefined;
  checkObject("headers", headers);
  const list = Object.entries(headers).map(([key, value]) => ({
    key,
    value: bytesOf(`headers.${key.slice(0, 64)}`, value),
  }));
  if (list.length > limits.headersMax) {
    throw new GmqError("invalid_argument", `${list.length} headers`, {
      field: "headers",
      limit: `${limits.headersMax} headers`,
    });
  }
  for (const { key } of list) {
    // A character takes three bytes at most, so short names need no look.
    if (key.length * 3 <= limits.headerKeyBytesMax) continue;
    const bytes = utf8.encode(key).length;
    if (bytes <= limits.headerKeyBytesMax) continue;
    throw new GmqError("invalid_argument", `a header's name takes ${bytes} bytes`, {
      field: "headers",
      limit: `${limits.headerKeyBytesMax} bytes of a name`,
    });
  }
  return list;
}
