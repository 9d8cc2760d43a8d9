import { GmqError, limits } from "@gmq/protocol";
import { expect, test, vi } from "vitest";
import { createPartitionAccumulator } from "./partition-accumulator.js";
import type { SealedBatch } from "./sealed-batch.js";
import { createSpareBuffers } from "./spare-buffers.js";

const value = new Uint8Array([1]);

/** An accumulator, and what became of each record by its name. */
function start() {
  const fates: string[] = [];
  const accumulator = createPartitionAccumulator({
    producerId: 7n,
    batchBytesMax: 1_024,
    batchRecordsMax: 100,
    lingerMs: 0,
    codec: "none",
    inFlightMax: 5,
    spares: createSpareBuffers(1024 * 1024),
    ready: () => undefined,
    began: () => undefined,
    freed: () => undefined,
  });
  const add = (name: string): SealedBatch => {
    accumulator.add({ value, timestampMs: 0, headers: [] }, 4, undefined, {
      deadlineMs: Number.POSITIVE_INFINITY,
      stored: (offset, duplicate) => fates.push(`${name} stored at ${offset}${duplicate ? " again" : ""}`),
      failed: ({ code }) => fates.push(`${name} ${code}`),
    });
    return accumulator.next(true) as SealedBatch;
  };
  return { accumulator, add, fates };
}

const gap = new GmqError("out_of_order", "sequence 1 came, 0 was expected");

test("a batch that came before the one ahead of it is sent again under its number", async () => {
  const { accumulator, add, fates } = start();
  const [first, second] = [add("first"), add("second")];
  // The first went another way and arrives later: no failure of its own tells that the gap will close.
  accumulator.failed(second, gap);
  accumulator.stored(first, 0n, false);
  const again = await vi.waitUntil(() => accumulator.next(true), { interval: 5, timeout: 15_000 });
  expect(again.outgoing()).toMatchObject({ producerEpoch: 0, firstSequence: 1n });
  accumulator.stored(again, 1n, true);
  expect(fates).toEqual(["first stored at 0", "second stored at 1 again"]);
});

test("a batch that every way refused for a gap begins anew under a higher epoch", async () => {
  const { accumulator, add, fates } = start();
  accumulator.failed(add("first"), gap);
  const second = await vi.waitUntil(() => accumulator.next(true), { interval: 5, timeout: 15_000 });
  expect(second.outgoing()).toMatchObject({ producerEpoch: 0, firstSequence: 0n });
  accumulator.failed(second, gap);
  const third = await vi.waitUntil(() => accumulator.next(true), { interval: 5, timeout: 15_000 });
  expect(third.outgoing()).toMatchObject({ producerEpoch: 1, firstSequence: 0n });
  expect(fates).toEqual([]);
});

test("a gap that stays before a batch whose fate is not known is given up as unknown, and what comes behind begins anew", async () => {
  vi.useFakeTimers();
  try {
    const { accumulator, add, fates } = start();
    const sent = [add("first"), add("second")];
    for (const batch of sent.splice(0))
      accumulator.failed(batch, new GmqError("unknown_outcome", "the answer was lost"));
    for (let round = 0; fates.length === 0 && round < 50; round++) {
      for (const batch of sent.splice(0)) accumulator.failed(batch, gap);
      await vi.advanceTimersByTimeAsync(3_000);
      for (let batch = accumulator.next(true); batch !== undefined; batch = accumulator.next(true)) sent.push(batch);
    }
    // Whether they are stored is not known any more, so neither may be sent under another number.
    expect(fates).toEqual(["first unknown_outcome", "second unknown_outcome"]);
    expect(add("third").outgoing()).toMatchObject({ producerEpoch: 1, firstSequence: 0n });
  } finally {
    vi.useRealTimers();
  }
});

test("a refusal behind a batch whose fate is not known leaves that batch its number", async () => {
  const { accumulator, add, fates } = start();
  const [first, second] = [add("first"), add("second")];
  accumulator.failed(first, new GmqError("unavailable", "the session was lost"));
  accumulator.failed(second, new GmqError("batch_corrupt", "the checksum is wrong"));
  const again = await vi.waitUntil(() => accumulator.next(true), { interval: 5, timeout: 15_000 });
  expect(again.outgoing()).toMatchObject({ producerEpoch: 0, firstSequence: 0n });
  accumulator.stored(again, 0n, true);
  expect(fates).toEqual(["first stored at 0 again"]);
});

test("no batch gets further ahead of the oldest unanswered one than the log remembers", () => {
  const { accumulator, add } = start();
  const oldest = add("oldest");
  let ahead = 0;
  // Answered one by one, while the oldest is stuck on its way.
  for (let batch = add("next"); batch !== undefined; batch = add("next")) {
    accumulator.stored(batch, BigInt(++ahead), false);
    expect(ahead).toBeLessThan(100);
  }
  expect(ahead).toBe(limits.batchesPerProducer - 1);
  accumulator.stored(oldest, 0n, false);
  expect(accumulator.next(true)).toBeDefined();
});
