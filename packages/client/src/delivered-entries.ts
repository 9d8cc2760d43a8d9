/** Turns delivered entries into messages: checks each batch's checksum, unpacks it, decodes its records. Order is kept. */
import { batchChecksum, codecNumbers, decodeEntryMeta, decodeRecords, decompressBatch, GmqError } from "@gmq/protocol";
import type { DeliveredEntry } from "@gmq/protocol/messages";
import type { Assignment, RawMessage } from "./message.js";

/**
 * The messages of entries. Undefined values never occur: a batch that does not match its checksum fails the whole delivery.
 * Returns a promise only when something has to be unpacked.
 * @throws GmqError `batch_corrupt`, `unknown_codec`
 */
export function messagesOf(
  assignment: Assignment,
  entries: readonly DeliveredEntry[],
): RawMessage[] | Promise<RawMessage[]> {
  const messages: RawMessage[] = [];
  const parts = entries.flatMap(partsOf);
  if (parts.every(({ codec }) => codec === codecNumbers.none)) {
    for (const part of parts) append(messages, assignment, part, part.bytes);
    return messages;
  }
  return (async () => {
    for (const part of parts)
      append(messages, assignment, part, await decompressBatch(part.codec, part.bytes, part.uncompressedBytes));
    return messages;
  })();
}

interface Part {
  readonly firstOffset: bigint;
  readonly codec: number;
  readonly uncompressedBytes: number;
  readonly bytes: Uint8Array;
  readonly recordCount: number;
  /** Of the records before the first that has one. */
  readonly timestampMs: number;
  /** Failed attempts by index in the part. */
  readonly attempts: ReadonlyMap<number, number>;
  readonly takeOvers: number;
  /** By index in the part. */
  readonly releases: ReadonlyMap<number, number>;
}

/** The batches of an entry. */
function partsOf({ entry, attempts, handBacks }: DeliveredEntry): Part[] {
  if (entry === undefined)
    throw new GmqError("malformed_frame", "a delivered entry is missing", { field: "deliver.entries" });
  let position = 0;
  let index = 0;
  return decodeEntryMeta(entry.meta).batches.map((batch) => {
    const { bodyBytes, recordCount, codec, crc32, uncompressedBytes, timestampMs } = batch;
    const bytes = entry.body.subarray(position, position + bodyBytes);
    const firstIndex = index;
    position += bodyBytes;
    index += recordCount;
    if (batchChecksum(bytes) !== crc32) {
      throw new GmqError(
        "batch_corrupt",
        `the batch at offset ${entry.baseOffset + BigInt(firstIndex)} does not match its checksum`,
        { field: "batch.crc32" },
      );
    }
    const isOwn = (item: { readonly index: number }): boolean =>
      item.index >= firstIndex && item.index < firstIndex + recordCount;
    return {
      firstOffset: entry.baseOffset + BigInt(firstIndex),
      codec,
      uncompressedBytes,
      bytes,
      recordCount,
      timestampMs,
      attempts: new Map(attempts.filter(isOwn).map((item) => [item.index - firstIndex, item.attempts])),
      takeOvers: handBacks?.takeOvers ?? 0,
      releases: new Map(
        (handBacks?.releases ?? []).filter(isOwn).map((item) => [item.index - firstIndex, item.releases]),
      ),
    };
  });
}

function append(messages: RawMessage[], assignment: Assignment, part: Part, bytes: Uint8Array): void {
  const records = decodeRecords(bytes, part.timestampMs);
  if (records.length !== part.recordCount) {
    throw new GmqError(
      "batch_corrupt",
      `the batch at offset ${part.firstOffset} holds ${records.length} records, ${part.recordCount} were stated`,
      { field: "batch.record_count" },
    );
  }
  // Each record answers for an equal share of the credit that the batch took, the first for what is left over: what is given back is what was taken.
  const share = Math.floor(part.bytes.length / records.length);
  const rest = part.bytes.length - share * records.length;
  for (let index = 0; index < records.length; index++) {
    const { key, value, headers, timestampMs, expiresAtMs } = records[index] as (typeof records)[number];
    messages.push({
      assignment,
      offset: part.firstOffset + BigInt(index),
      keyBytes: key,
      valueBytes: value,
      rawHeaders: headers,
      timestampMs,
      expiresAtMs,
      attempts: part.attempts.get(index) ?? 0,
      handBacks: part.takeOvers + (part.releases.get(index) ?? 0),
      bytes: index === 0 ? share + rest : share,
      settled: false,
      counted: false,
      runningAs: 0,
      verdict: undefined,
    });
  }
}
