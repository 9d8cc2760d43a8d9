import { type CodecName, codecNumbers, decodeRecords, decompressBatch, GmqError } from "@gmq/protocol";
import { expect, test, vi } from "vitest";
import { createPartitionAccumulator } from "./partition-accumulator.js";
import type { SealedBatch } from "./sealed-batch.js";
import { createSpareBuffers } from "./spare-buffers.js";

const kib = 1024;

test("a buffer is given out once, and only for a batch of about its size", () => {
  const spares = createSpareBuffers(1024 * kib);
  const buffer = new Uint8Array(256 * kib);
  spares.give(buffer);
  expect(spares.take(257 * kib)).toBeUndefined();
  expect(spares.take(33 * kib)).toBeUndefined();
  expect(spares.take(200 * kib)).toBe(buffer);
  expect(spares.take(200 * kib)).toBeUndefined();
});

test("what is kept is bounded by bytes and by count, and the oldest leave", () => {
  const spares = createSpareBuffers(512 * kib);
  const [first, second, third] = [256, 256, 128].map((size) => new Uint8Array(size * kib)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  for (const buffer of [first, second, third]) spares.give(buffer);
  expect(spares.take(128 * kib)).toBe(third);
  expect(spares.take(256 * kib)).toBe(second);
  expect(spares.take(256 * kib)).toBeUndefined();
  spares.give(new Uint8Array(513 * kib));
  expect(spares.take(513 * kib)).toBeUndefined();

  const many = createSpareBuffers(1024 * 1024 * kib);
  for (let index = 0; index < 70; index++) many.give(new Uint8Array(32 * kib));
  let kept = 0;
  while (many.take(32 * kib) !== undefined) kept++;
  expect(kept).toBe(64);
});

/** An accumulator whose batches are one record of 64 KiB each. */
function start(codec: CodecName = "none") {
  const accumulator = createPartitionAccumulator({
    producerId: 7n,
    batchBytesMax: 128 * kib,
    batchRecordsMax: 100,
    lingerMs: 0,
    codec,
    inFlightMax: 5,
    spares: createSpareBuffers(1024 * kib),
    ready: () => undefined,
    began: () => undefined,
    freed: () => undefined,
  });
  const sendNext = (): Promise<SealedBatch> =>
    vi.waitUntil(() => accumulator.next(true), { interval: 5, timeout: 15_000 });
  const send = (byte: number): Promise<SealedBatch> => {
    const waiter = { deadlineMs: Number.POSITIVE_INFINITY, stored: () => undefined, failed: () => undefined };
    accumulator.add({ value: new Uint8Array(64 * kib).fill(byte), timestampMs: 0 }, 64 * kib, undefined, waiter);
    return sendNext();
  };
  return { accumulator, send, sendNext };
}

const payloadOf = (records: Uint8Array): Uint8Array => decodeRecords(records)[0]?.value as Uint8Array;

test("the buffer of an answered batch is written again, one that waits for its answer is not", async () => {
  const { accumulator, send } = start();
  const first = await send(1);
  const second = await send(2);
  const memory = first.outgoing().records.buffer;
  accumulator.stored(first, 0n, false);
  const third = await send(3);
  expect(third.outgoing().records.buffer).toBe(memory);
  expect(payloadOf(third.outgoing().records).every((byte) => byte === 3)).toBe(true);
  expect(payloadOf(second.outgoing().records).every((byte) => byte === 2)).toBe(true);
});

test("a batch that was sent twice keeps its buffer: the first socket may hold it still", async () => {
  const { accumulator, send, sendNext } = start();
  const first = await send(1);
  const memory = first.outgoing().records.buffer;
  accumulator.failed(first, new GmqError("unavailable", "the session was lost"));
  accumulator.stored(await sendNext(), 0n, true);
  expect((await send(2)).outgoing().records.buffer).not.toBe(memory);
});

test("what was compressed is written again at once, what it was compressed to is not", async () => {
  const { accumulator, send } = start("zstd");
  const first = await send(1);
  const sent = Buffer.from(first.outgoing().records);
  const second = await send(2);
  accumulator.stored(first, 0n, false);
  await send(3);
  for (const [batch, byte] of [
    [sent, 1],
    [second.outgoing().records, 2],
  ] as const) {
    const plain = await decompressBatch(codecNumbers.zstd, batch, first.outgoing().uncompressedBytes);
    expect(payloadOf(plain).every((value) => value === byte)).toBe(true);
  }
});
