import { limits } from "@gmq/protocol";
import { expect, test } from "vitest";
import { createProducerTable, type ProducerTable } from "./producer-table.js";

const { producersPerPartitionMax } = limits;

/** Notes the next batch of a producer, of one record. */
function note(table: ProducerTable, producerId: bigint, firstSequence: number): void {
  table.note({ recordCount: 1, producerId, producerEpoch: 0, firstSequence, dedupeId: undefined }, 0n, 0);
}

/** Whether a batch that was noted is still known. */
function knows(table: ProducerTable, producerId: bigint, firstSequence: number): boolean {
  const batch = { recordCount: 1, producerId, producerEpoch: 0, firstSequence, dedupeId: undefined };
  return table.judge(batch).kind === "duplicate";
}

test("producers are bounded: one that is used stays, one that is not leaves", () => {
  let table = createProducerTable();
  note(table, 1n, 0);
  note(table, 2n, 0);
  let sequence = 0;
  for (let other = 0; other < producersPerPartitionMax * 3; other++) {
    note(table, BigInt(100 + other), 0);
    if (other % 1_000 === 0) note(table, 1n, ++sequence);
    // Another process takes over: it goes on with what the snapshot says.
    if (other === producersPerPartitionMax) table = createProducerTable(table.snapshot());
    expect(table.producerCount).toBeLessThanOrEqual(producersPerPartitionMax);
  }
  expect(knows(table, 1n, sequence)).toBe(true);
  expect(knows(table, 2n, 0)).toBe(false);
});

test("one that wrote within the last half of the bound is known, however the others came", () => {
  const table = createProducerTable();
  for (let other = 0; other < producersPerPartitionMax; other++) note(table, BigInt(100 + other), 0);
  note(table, 100n, 1);
  for (let other = 0; other < producersPerPartitionMax / 2 - 1; other++) note(table, BigInt(1_000_000 + other), 0);
  expect(knows(table, 100n, 1)).toBe(true);
});
