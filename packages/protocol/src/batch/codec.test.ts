import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { GmqError } from "../errors.js";
import { EntryMetaSchema, RecordBatchSchema } from "../gen/gmq/v1/record_pb.js";
import { batchChecksum, compressBatch, decompressBatch } from "./compression.js";
import { countRecords, decodeRecords, indexRecords, timestampBefore } from "./decode.js";
import { createBatchEncoder, type EncodableRecord, encodedRecordBytes, encodeRecords } from "./encode.js";
import { decodeEntryMeta, type EntryMeta, encodeEntryMeta } from "./entry-meta.js";

const utf8 = new TextEncoder();
const samples: EncodableRecord[] = [
  {
    key: utf8.encode("user_id_123"),
    value: utf8.encode("Order#1001"),
    timestampMs: 1_764_000_000_000,
    expiresAtMs: 1_764_000_060_000,
  },
  { value: new Uint8Array(0), timestampMs: 5, expiresAtMs: 0 },
  { key: new Uint8Array(0), value: new Uint8Array(300).fill(7), timestampMs: 127, expiresAtMs: 1 },
  {
    key: utf8.encode("ключ"),
    value: new Uint8Array(20_000).fill(255),
    timestampMs: Number.MAX_SAFE_INTEGER,
    headers: [
      { key: "source", value: utf8.encode("web") },
      { key: "", value: new Uint8Array(0) },
      { key: "名前", value: new Uint8Array(200) },
    ],
  },
];

function generated(records: readonly EncodableRecord[]): Uint8Array {
  return toBinary(
    RecordBatchSchema,
    create(RecordBatchSchema, {
      records: records.map(({ key, value, headers, timestampMs, expiresAtMs = 0 }) => ({
        ...(key === undefined ? {} : { key }),
        value,
        headers: (headers ?? []).map((header) => ({ ...header })),
        timestampMs: BigInt(timestampMs),
        expiresAtMs: BigInt(expiresAtMs),
      })),
    }),
  );
}

describe("batch codec", () => {
  it("is byte-equal to protobuf-es", () => {
    expect(Buffer.from(encodeRecords(samples)).equals(generated(samples))).toBe(true);
  });

  it("decodes what protobuf-es encodes, as views", () => {
    const bytes = generated(samples);
    const records = decodeRecords(bytes);
    expect(records.map(({ timestampMs }) => timestampMs)).toEqual(samples.map(({ timestampMs }) => timestampMs));
    expect(records.map(({ expiresAtMs }) => expiresAtMs)).toEqual([1_764_000_060_000, 0, 1, 0]);
    expect(records[0]?.key && Buffer.from(records[0].key).toString()).toBe("user_id_123");
    expect(records[1]?.key).toBeUndefined();
    expect(records[2]?.key?.length).toBe(0);
    expect(records[3]?.headers.map(({ key }) => key)).toEqual(["source", "", "名前"]);
    expect(records[3]?.value.buffer).toBe(bytes.buffer);
  });

  it("slices by record index without a copy, and slices join", () => {
    const bytes = encodeRecords(samples);
    const borders = indexRecords(bytes, samples.length);
    const tail = bytes.subarray(borders[2], borders[4]);
    expect(decodeRecords(tail)).toHaveLength(2);
    expect(countRecords(Buffer.concat([tail, bytes]))).toBe(6);
    expect(tail.buffer).toBe(bytes.buffer);
  });

  it("leaves a timestamp out that the record before has, and writes a 0 after another", () => {
    const times = [0, 7, 7, 1_764_000_000_000, 1_764_000_000_000, 0, 0, 7];
    const records = times.map((timestampMs, index) => ({ value: utf8.encode(`v${index}`), timestampMs }));
    const bytes = encodeRecords(records);
    expect(decodeRecords(bytes).map(({ timestampMs }) => timestampMs)).toEqual(times);
    // Tag and value of 7, of the long one, of 0 and of 7.
    expect(bytes.length).toBe(times.length * 6 + 2 + 7 + 2 + 2);
    const repeated = records.map((record, index) => (index === 2 ? { ...record, timestampMs: 0 } : record));
    expect(Buffer.from(encodeRecords(records.slice(0, 3))).equals(generated(repeated.slice(0, 3)))).toBe(true);
  });

  it("begins each batch with a timestamp of its own", () => {
    const encoder = createBatchEncoder();
    const record = { value: utf8.encode("v"), timestampMs: 7 };
    encoder.add(record);
    const first = encoder.take();
    encoder.add(record);
    expect(Buffer.from(encoder.take()).equals(first)).toBe(true);
  });

  it("knows the timestamp before each record of a batch, which a part of it needs", () => {
    const times = [0, 7, 7, 0, 9, 9];
    const bytes = encodeRecords(times.map((timestampMs) => ({ ...(samples[3] as EncodableRecord), timestampMs })));
    const borders = indexRecords(bytes, times.length);
    for (let from = 0; from < times.length; from++) {
      const timestampMs = timestampBefore(bytes.subarray(0, borders[from]), 3);
      const part = decodeRecords(bytes.subarray(borders[from]), timestampMs);
      // The first two have none, and nothing stands before them.
      expect(part.map((record) => record.timestampMs)).toEqual(
        times.slice(from).map((ms, index) => (from + index === 0 ? 3 : ms)),
      );
    }
    expect(timestampBefore(utf8.encode("\n\u00ffgarbage"), 3)).toBe(3);
  });

  it("states the encoded size of a record, of one with the timestamp of the one before at most", () => {
    for (const record of samples) {
      const encoder = createBatchEncoder(16);
      expect(encoder.add(record)).toBe(encodedRecordBytes(record));
      expect(encoder.add(record)).toBeLessThan(encodedRecordBytes(record));
    }
  });

  it("hands bytes over: a later batch does not touch them", () => {
    const encoder = createBatchEncoder(64);
    encoder.add(samples[0] as EncodableRecord);
    const first = encoder.take();
    const copy = Buffer.from(first);
    encoder.add(samples[2] as EncodableRecord);
    expect(encoder.recordCount).toBe(1);
    expect(Buffer.from(first).equals(copy)).toBe(true);
  });

  it("refuses a count that disagrees with the bytes, and cut or foreign bytes", () => {
    const bytes = encodeRecords(samples);
    for (const attempt of [
      () => indexRecords(bytes, 3),
      () => indexRecords(bytes, 5),
      () => indexRecords(bytes.subarray(0, bytes.length - 1), 4),
      () => decodeRecords(bytes.subarray(0, bytes.length - 1)),
      () => countRecords(utf8.encode("garbage")),
    ]) {
      expect(attempt).toThrowError(expect.objectContaining({ code: "batch_corrupt" }));
    }
  });

  it("survives 100,000 random mutations with typed errors only", () => {
    const bytes = encodeRecords(samples.slice(0, 3));
    let seed = 42;
    const random = () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0);
    for (let round = 0; round < 100_000; round++) {
      const mutated = bytes.slice(0, 1 + (random() % bytes.length));
      mutated[random() % mutated.length] = random() & 0xff;
      try {
        decodeRecords(mutated);
      } catch (error) {
        if (!GmqError.is(error, "batch_corrupt")) throw error;
      }
    }
  });
});

describe("entry meta", () => {
  const meta: EntryMeta = {
    appendTimeMs: 1_764_000_000_123,
    appendId: 0xfedcba9876543210n,
    logBytes: 5_000_000_000,
    batches: [
      {
        recordCount: 500,
        codec: 1,
        crc32: 0xdeadbeef,
        producerId: 7n,
        producerEpoch: 3,
        firstSequence: 70_000_000_000,
        uncompressedBytes: 262_144,
        dedupeId: undefined,
        bodyBytes: 262_144,
        timestampMs: 0,
      },
      {
        recordCount: 1,
        codec: 3,
        crc32: 0,
        producerId: 0n,
        producerEpoch: 0,
        firstSequence: 0,
        uncompressedBytes: 512,
        dedupeId: "заказ-1",
        bodyBytes: 80,
        timestampMs: 1_764_000_000_000,
      },
    ],
  };

  it("is byte-compatible with the generated message, both ways", () => {
    const message = create(EntryMetaSchema, {
      appendTimeMs: BigInt(meta.appendTimeMs),
      appendId: meta.appendId,
      logBytes: BigInt(meta.logBytes),
      batches: meta.batches.map((batch) => ({
        ...batch,
        firstSequence: BigInt(batch.firstSequence),
        timestampMs: BigInt(batch.timestampMs),
      })),
    });
    expect(Buffer.from(encodeEntryMeta(meta)).equals(toBinary(EntryMetaSchema, message))).toBe(true);
    expect(decodeEntryMeta(toBinary(EntryMetaSchema, message))).toEqual(meta);
    expect(fromBinary(EntryMetaSchema, encodeEntryMeta(meta)).batches).toHaveLength(2);
  });

  it("refuses cut bytes", () => {
    const bytes = encodeEntryMeta(meta);
    expect(() => decodeEntryMeta(bytes.subarray(0, bytes.length - 3))).toThrowError(
      expect.objectContaining({ code: "batch_corrupt" }),
    );
  });
});

describe("compression", () => {
  const bytes = encodeRecords(samples);

  it.each(["none", "gzip", "zstd"] as const)("round trip with %s", async (codec) => {
    const packed = await compressBatch(codec, bytes);
    const unpacked = await decompressBatch({ none: 1, gzip: 2, zstd: 3 }[codec], packed, bytes.length);
    expect(Buffer.from(unpacked).equals(bytes)).toBe(true);
    expect(batchChecksum(unpacked)).toBe(batchChecksum(bytes));
  });

  it("refuses an unknown codec, a bomb and a wrong size", async () => {
    const bomb = await compressBatch("gzip", new Uint8Array(1 << 20));
    await expect(decompressBatch(9, bytes, 1)).rejects.toMatchObject({ code: "unknown_codec", field: "batch.codec" });
    await expect(decompressBatch(2, bomb, 1_000)).rejects.toMatchObject({ code: "batch_corrupt" });
    await expect(decompressBatch(2, bomb, 1 << 30)).rejects.toMatchObject({ code: "batch_too_large" });
    await expect(decompressBatch(2, bomb, (1 << 20) + 1)).rejects.toMatchObject({ code: "batch_corrupt" });
  });
});
