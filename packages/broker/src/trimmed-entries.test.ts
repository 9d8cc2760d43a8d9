/** A dispatcher that took entries over which retention or a purge has deleted since. */
import { batchChecksum, codecNumbers, createBatchEncoder, type GmqError } from "@gmq/protocol";
import type { Engine, Ownership, PartitionFetch, PartitionSettle } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterEach, expect, it } from "vitest";
import { createCredit } from "./credit.js";
import { createDispatcher } from "./dispatcher.js";
import type { Dispatcher } from "./dispatcher-handle.js";
import { onlyTaker } from "./takers.js";

const engines: Engine[] = [];
const dispatchers: Dispatcher[] = [];

afterEach(async () => {
  for (const dispatcher of dispatchers.splice(0)) dispatcher.stop();
  for (const engine of engines.splice(0)) await engine.close();
});

async function append(engine: Engine, values: readonly string[]): Promise<void> {
  const encoder = createBatchEncoder();
  for (const value of values) encoder.add({ value: new TextEncoder().encode(value), timestampMs: 1 });
  const records = encoder.take();
  const batch = {
    recordCount: values.length,
    codec: codecNumbers.none,
    crc32: batchChecksum(records),
    producerId: 0n,
    producerEpoch: 0,
    firstSequence: 0n,
    uncompressedBytes: records.length,
    records,
  };
  const [[outcome] = []] = await engine.log.append([{ topic: "t", partition: 0, batches: [batch] }]);
  expect(outcome?.ok).toBe(true);
}

async function own(engine: Engine, incarnation: string): Promise<Ownership> {
  const view = await engine.groups.join(
    {
      group: "g",
      memberId: "m",
      incarnation,
      clientId: "c",
      clientVersion: "1",
      brokerId: "b",
      topics: ["t"],
      sessionTimeoutMs: 60_000,
      staticMember: false,
    },
    "earliest",
  );
  return { group: "g", topic: "t", partition: 0, memberId: "m", epoch: view.partitions[0]?.epoch ?? 0 };
}

it("drops what is gone, delivers the rest, and stays exact", async () => {
  const engine = await createEmbeddedEngine({ memory: true });
  engines.push(engine);
  await engine.topics.create("t", { partitions: 1 });
  for (let entry = 0; entry < 6; entry++) await append(engine, ["a", "b"]);
  const ownership = await own(engine, "1");
  await engine.groups.claim(ownership);
  await engine.groups.fetch([{ ownership, position: 0n, bytesMax: 1_000_000, recordsMax: 8 }]);
  const claim = await engine.groups.claim(ownership);
  expect(claim.pending.length).toBe(4);
  // Between the claim and the first delivery.
  await engine.log.purge({ topic: "t", toOffset: 4n });

  const delivered: bigint[] = [];
  const losses: GmqError[] = [];
  const credit = createCredit();
  credit.grant(100, 1_000_000);
  const dispatcher = createDispatcher(
    {
      ownership,
      fetch: async (fetch: PartitionFetch) => (await engine.groups.fetch([fetch]))[0] as never,
      settle: async (settle: PartitionSettle) => (await engine.groups.settle([settle]))[0] as never,
      log: engine.log,
      lost: (error) => losses.push(error),
    },
    onlyTaker({
      credit,
      deliver: (deliveries) => delivered.push(...deliveries.map(({ entry }) => entry.baseOffset)),
      writable: () => true,
    }),
    claim,
  );
  dispatchers.push(dispatcher);
  dispatcher.pump();
  await expect.poll(() => delivered).toEqual([4n, 6n, 8n, 10n]);
  expect(losses).toEqual([]);
  expect(dispatcher.heldRecords).toBe(8);

  // With the consumer already, trimmed before it answers: its answer is no error, and nothing of it comes again.
  await engine.log.purge({ topic: "t", toOffset: 8n });
  expect(await dispatcher.settle([{ firstOffset: 4n, lastOffset: 11n, verb: "ack" }])).toEqual([]);
  expect(dispatcher.heldRecords).toBe(0);
  expect(await engine.groups.offsets("g")).toMatchObject([
    { position: 12n, unsettledRecords: 0, lagRecords: 0, lostRecords: 8 },
  ]);
});
