import { GmqError } from "@gmq/protocol";
import { expect, it } from "vitest";
import { createPartitionAccumulator } from "./partition-accumulator.js";
import { createSpareBuffers } from "./spare-buffers.js";

function createAccumulator(inFlightMax: number) {
  let freedBytes = 0;
  const failures: GmqError[] = [];
  const accumulator = createPartitionAccumulator({
    producerId: 1n,
    batchBytesMax: 1_000,
    batchRecordsMax: 100,
    lingerMs: 0,
    codec: "none",
    inFlightMax,
    spares: createSpareBuffers(1_000_000),
    ready: () => undefined,
    began: () => undefined,
    freed(bytes) {
      freedBytes += bytes;
    },
  });
  const add = (deadlineMs: number): void =>
    accumulator.add({ value: new Uint8Array(3), headers: [], timestampMs: 0 }, 10, undefined, {
      deadlineMs,
      stored: () => undefined,
      failed: (error) => failures.push(error),
    });
  return { accumulator, add, failures, freedBytes: () => freedBytes };
}

it("tells a record that expires why its batch, or the one before it, was refused", () => {
  const { accumulator, add, failures, freedBytes } = createAccumulator(1);
  add(1_000);
  const batch = accumulator.next(true);
  if (batch === undefined) throw new Error("nothing to send");
  // Gathers behind the one that is in flight.
  add(2_000);
  const full = new GmqError("store_full", "no room");
  accumulator.failed(batch, full);
  accumulator.expire(1_500);
  accumulator.expire(2_500);
  expect(failures).toMatchObject([
    { code: "deadline_exceeded", field: "timeoutMs", cause: full },
    { code: "deadline_exceeded", field: "timeoutMs", cause: full },
  ]);
  expect(failures[0]?.message).toContain("the last try failed with store_full: no room");
  expect(accumulator.unanswered).toBe(0);
  // The one that was sent keeps its number, and so its place, until it is answered; the other is gone.
  expect(freedBytes()).toBe(10);
  accumulator.close(new GmqError("closed", "over"));
  expect(freedBytes()).toBe(20);
});

it("expires what gathers without a reason when nothing has failed, and keeps the records that still have time", () => {
  const { accumulator, add, failures, freedBytes } = createAccumulator(1);
  add(1_000);
  add(3_000);
  accumulator.expire(2_000);
  expect(failures).toMatchObject([{ code: "deadline_exceeded" }]);
  expect(failures[0]?.cause).toBeUndefined();
  expect(freedBytes()).toBe(0);
  expect(accumulator.next(true)?.recordCount).toBe(2);
});
