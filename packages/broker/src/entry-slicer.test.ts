import {
  type BatchMeta,
  batchChecksum,
  codecNumbers,
  compressBatch,
  decodeEntry,
  decodeEntryMeta,
  encodeEntryMeta,
  encodeRecords,
} from "@gmq/protocol";
import type { LogEntry } from "@gmq/storage";
import { expect, it } from "vitest";
import { createEntrySlicer } from "./entry-slicer.js";

/** Records of three batches: with a time each, with one time, and without. */
const times = [
  [1_764_000_000_000, 1_764_000_000_000, 1_764_000_000_001],
  [9, 9, 9, 9],
  [0, 0],
];
const count = times.flat().length;

async function entryOf(codec: "none" | "zstd"): Promise<LogEntry> {
  const bodies: Uint8Array[] = [];
  const batches: BatchMeta[] = [];
  for (const [number, own] of times.entries()) {
    const records = own.map((timestampMs, index) => ({ value: Buffer.from(`${number}.${index}`), timestampMs }));
    const plain = encodeRecords(records);
    const body = await compressBatch(codec, plain);
    bodies.push(body);
    batches.push({
      recordCount: own.length,
      codec: codecNumbers[codec],
      crc32: batchChecksum(body),
      producerId: 7n,
      producerEpoch: 1,
      firstSequence: 3,
      uncompressedBytes: plain.length,
      dedupeId: undefined,
      bodyBytes: body.length,
      timestampMs: 0,
    });
  }
  const meta = encodeEntryMeta({ appendTimeMs: 5, appendId: 6n, logBytes: 0, batches });
  return { baseOffset: 100n, recordCount: count, meta, body: Buffer.concat(bodies) };
}

async function recordsOf(entry: LogEntry): Promise<readonly unknown[]> {
  const records: unknown[] = [];
  for await (const { value, offset, timestampMs } of decodeEntry(entry))
    records.push([Buffer.from(value).toString(), offset, timestampMs]);
  return records;
}

it.each(["none", "zstd"] as const)(
  "gives each part the records of the whole, with their times: codec %s",
  async (codec) => {
    const entry = await entryOf(codec);
    const whole = await recordsOf(entry);
    expect(whole.map((record) => (record as unknown[])[2])).toEqual(times.flat());
    const slicer = await createEntrySlicer(entry);
    for (let from = 0; from < count; from++) {
      for (let to = from + 1; to <= count; to++) {
        const part = slicer.slice(from, to);
        expect(await recordsOf(part)).toEqual(whole.slice(from, to));
        // Of a part, so that nobody takes it for the producer's batch; the checksums are those of its bytes.
        let position = 0;
        for (const batch of decodeEntryMeta(part.meta).batches) {
          expect(batch.producerId).toBe(to - from === count ? 7n : 0n);
          expect(batch.crc32).toBe(batchChecksum(part.body.subarray(position, position + batch.bodyBytes)));
          position += batch.bodyBytes;
        }
        expect(position).toBe(part.body.length);
      }
    }
  },
);
