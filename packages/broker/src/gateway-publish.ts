/** Unary Publish for curl and thin clients: routes one record, encodes it as a batch of one, and hands it to the same publish path as sessions. */
import { randomUUID } from "node:crypto";
import { batchChecksum, codecNumbers, encodeRecords, GmqError, limits, partitionForKey } from "@gmq/protocol";
import type { PublishRequest } from "@gmq/protocol/messages";
import type { Caller } from "@gmq/transport";
import { requireTopic } from "./access/require.js";
import type { BrokerLimits } from "./broker-limits.js";
import type { Publish } from "./publish.js";
import type { TopicCache } from "./topic-cache.js";

/** Where a record was stored. */
export interface Published {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly duplicate: boolean;
  readonly scheduled: boolean;
}

const utf8 = new TextEncoder();

/**
 * Makes the unary publish. Routing: explicit partition, else key hash, else round-robin.
 * @throws GmqError `permission_denied`, `record_too_large`, `invalid_argument`, and what publishing a batch is refused with
 */
export function createGatewayPublish(
  topics: TopicCache,
  publish: Publish,
  { recordBytesMax }: BrokerLimits,
): (request: PublishRequest, caller: Caller) => Promise<Published> {
  let turn = 0;

  return async (request, caller) => {
    const { topic, value, dedupeId } = request;
    requireTopic(caller, "publish", topic);
    const key = keyOf(request);
    const headers = [
      ...Object.entries(request.headers).map(([name, text]) => ({ key: name, value: utf8.encode(text) })),
      ...request.headerList.map((header) => ({ key: header.key, value: header.value })),
    ];
    if (headers.length > limits.headersMax) {
      throw new GmqError("invalid_argument", `${headers.length} headers`, {
        field: "headers",
        limit: `${limits.headersMax} headers`,
      });
    }
    for (const header of headers) checkHeaderName(header.key);
    const { config } = await topics.resolve(topic);
    const partition =
      request.partition ?? (key === undefined ? turn++ % config.partitions : partitionForKey(key, config.partitions));
    const records = encodeRecords([{ key, value, headers, timestampMs: Date.now(), expiresAtMs: expiryOf(request) }]);
    if (records.length > recordBytesMax) {
      throw new GmqError("record_too_large", `the record takes ${records.length} bytes`, {
        field: "value",
        limit: `${recordBytesMax} bytes`,
      });
    }
    const deliverAtMs = request.deliverAtMs ?? 0n;
    const batch = {
      recordCount: 1,
      codec: codecNumbers.none,
      crc32: batchChecksum(records),
      producerId: 0n,
      producerEpoch: 0,
      firstSequence: 0n,
      uncompressedBytes: records.length,
      dedupeId: deliverAtMs === 0n ? dedupeId : (dedupeId ?? randomUUID()),
      deliverAtMs,
      records,
    };
    const [outcome] = await publish(topic, [{ partition, batch }]);
    if (outcome === undefined) throw new GmqError("internal", "a publish without an outcome");
    if (!outcome.ok) throw outcome.error;
    const { firstOffset: offset, duplicate, scheduled = false } = outcome;
    return { topic, partition, offset, duplicate, scheduled };
  };
}

function checkHeaderName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes <= limits.headerKeyBytesMax) return;
  throw new GmqError("invalid_argument", `a header's name takes ${bytes} bytes`, {
    field: "headers",
    limit: `${limits.headerKeyBytesMax} bytes of a name`,
  });
}

function expiryOf({ ttlMs, deliverAtMs = 0n }: PublishRequest): number {
  if (ttlMs === undefined) return 0;
  if (ttlMs < 1n || ttlMs > limits.ttlMsMax) {
    throw new GmqError("invalid_argument", `ttl_ms is ${ttlMs}`, {
      field: "ttl_ms",
      limit: `1 to ${limits.ttlMsMax} ms`,
    });
  }
  // A delivery time that is too far away is refused when the record is kept.
  return Math.min(Math.max(Date.now(), Number(deliverAtMs)) + Number(ttlMs), Number.MAX_SAFE_INTEGER);
}

function keyOf({ key, keyBytes }: PublishRequest): Uint8Array | undefined {
  if (key !== undefined && keyBytes !== undefined) {
    throw new GmqError("invalid_argument", "the record has two keys", {
      field: "key_bytes",
      limit: "key or key_bytes",
    });
  }
  return keyBytes ?? (key === undefined ? undefined : utf8.encode(key));
}
