import {
  type BatchMeta,
  batchChecksum,
  codecNumbers,
  compressBatch,
  decodeEntry,
  decodeEntryMeta,
  decompressBatch,
  encodeEntryMeta,
  encodeRecords,
} from "@gmq/protocol";
import type { LogEntry } from "@gmq/storage";
import { expect, it } from "vitest";
import { createEntrySlicer, type EntrySlicer } from "./entry-slicer.js";

/** Records of three batches: with a time each, with one time, and without. */
const times = [
  [1_764_000_000_000, 1_764_000_000_000, 1_764_000_000_001],
  [9, 9, 9, 9],
  [0, 0],
];
const count = times.flat().length;

async function entryOf(codec: "none" | "zstd", ofTimes = times, padding = ""): Promise<LogEntry> {
  const bodies: Uint8Array[] = [];
  const batches: BatchMeta[] = [];
  for (const [number, own] of ofTimes.entries()) {
    const records = own.map((timestampMs, index) => ({
      value: Buffer.from(`${number}.${index}${padding}`),
      timestampMs,
    }));
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
  return { baseOffset: 100n, recordCount: ofTimes.flat().length, meta, body: Buffer.concat(bodies) };
}

async function recordsOf(entry: LogEntry): Promise<readonly unknown[]> {
  const records: unknown[] = [];
  for await (const { value, offset, timestampMs } of decodeEntry(entry))
    records.push([Buffer.from(value).toString(), offset, timestampMs]);
  return records;
}

/** The records `from` to `to - 1` in as many parts as it takes, and how often a batch had to be opened. */
async function partsOf(slicer: EntrySlicer, from: number, to: number, bytesMax = Number.POSITIVE_INFINITY) {
  const parts: LogEntry[] = [];
  let opened = 0;
  for (let at = from; at < to; ) {
    const part = slicer.cut(at, to, bytesMax);
    if (part === undefined) {
      await slicer.open(at);
      opened++;
      continue;
    }
    parts.push(part);
    at += part.recordCount;
  }
  return { parts, opened };
}

it.each(["none", "zstd"] as const)(
  "gives each part the records of the whole, with their times: codec %s",
  async (codec) => {
    const entry = await entryOf(codec);
    const whole = await recordsOf(entry);
    expect(whole.map((record) => (record as unknown[])[2])).toEqual(times.flat());
    const slicer = createEntrySlicer(entry);
    for (let from = 0; from < count; from++) {
      for (let to = from + 1; to <= count; to++) {
        for (const bytesMax of [1, 20, 1_000]) {
          const { parts } = await partsOf(slicer, from, to, bytesMax);
          expect((await Promise.all(parts.map(recordsOf))).flat()).toEqual(whole.slice(from, to));
          // What is stored as it goes out is one part when the bytes allow it.
          if (codec === "none" && bytesMax === 1_000) expect(parts).toHaveLength(1);
          for (const part of parts) {
            expect(part.recordCount === 1 || part.body.length <= bytesMax).toBe(true);
            // Of a part, so that nobody takes it for the producer's batch; the checksums are those of its bytes.
            let position = 0;
            for (const batch of decodeEntryMeta(part.meta).batches) {
              expect(batch.producerId).toBe(0n);
              expect(batch.crc32).toBe(batchChecksum(part.body.subarray(position, position + batch.bodyBytes)));
              position += batch.bodyBytes;
            }
            expect(position).toBe(part.body.length);
          }
        }
      }
    }
  },
);

it("sends whole batches as they are stored, and unpacks one at a time, once", async () => {
  const entry = await entryOf("zstd");
  const unpacked: number[] = [];
  const slicer = createEntrySlicer(entry, (codec, bytes, length) => {
    unpacked.push(length);
    return decompressBatch(codec, bytes, length);
  });
  const stored = decodeEntryMeta(entry.meta).batches;
  const { parts } = await partsOf(slicer, 0, 8);
  expect(parts.map(({ recordCount }) => recordCount)).toEqual([7, 1]);
  expect(decodeEntryMeta((parts[0] as LogEntry).meta).batches.map(({ codec }) => codec)).toEqual([3, 3]);
  expect(unpacked).toEqual([stored[2]?.uncompressedBytes]);
  unpacked.length = 0;
  // One record at a time: each batch is opened once, and given up for the next.
  for (let at = 0; at < count; at++) await partsOf(slicer, at, at + 1);
  expect(unpacked).toEqual(stored.map(({ uncompressedBytes }) => uncompressedBytes));
  // Its last record was cut: it is open no more.
  expect(slicer.cut(count - 1, count, 1)).toBeUndefined();
  expect(slicer.cut(0, 1, 1)).toBeUndefined();
});

it("never holds more than one batch of an entry that unpacks to a thousand times its size", async () => {
  const entry = await entryOf("zstd", Array(64).fill([1, 2, 3, 4]), "0".repeat(100_000));
  const whole = await recordsOf(entry);
  expect(entry.body.length).toBeLessThan(64 * 400_000 * 0.01);
  let unpacked = 0;
  const slicer = createEntrySlicer(entry, (codec, bytes, length) => {
    unpacked++;
    return decompressBatch(codec, bytes, length);
  });
  // The first records cost one batch, whatever follows.
  await partsOf(slicer, 0, 3);
  expect(unpacked).toBe(1);
  const parts: LogEntry[] = [];
  for (let at = 0; at < 256; at += 3) {
    const found = await partsOf(slicer, at, Math.min(at + 3, 256));
    parts.push(...found.parts);
    for (const { body } of found.parts) expect(body.buffer.byteLength).toBeLessThan(350_000);
  }
  expect((await Promise.all(parts.map(recordsOf))).flat()).toEqual(whole);
  expect(unpacked).toBe(64);
});
