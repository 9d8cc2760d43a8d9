/** `@gmq/storage` embedded in this process, no gRPC: batches are encoded here, entries are decoded here, every entry is settled. Redis or the file engine. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { batchChecksum, codecNumbers, decodeRecords, encodeRecords } from "@gmq/protocol";
import type { Engine, LogBatch, Ownership } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createRedisEngine } from "@gmq/storage/redis";
import type { Driver, OpenDriver, RecordHandler } from "../driver.ts";
import type { Load } from "../task.ts";

export const openRedisEngine: OpenDriver = async ({ topic, addresses, load }) =>
  driverOf(await createRedisEngine({ url: `redis://127.0.0.1:${addresses.redisPort}` }), topic, load);

export const openFileEngine: OpenDriver = async ({ topic, addresses, load }) =>
  driverOf(await createEmbeddedEngine({ path: addresses.folder }), topic, load);

const fetchBytes = 1024 * 1024;
/** How often a reader looks when no signal came. */
const lookMs = 50;

async function driverOf(engine: Engine, topic: string, load: Load): Promise<Driver> {
  await engine.topics.create(topic, { partitions: load.partitions });
  const loops: Promise<void>[] = [];
  let stopped = false;

  /** Reads one partition for its owner until the end: fetch, hand over, settle whole entries. */
  async function read(ownership: Ownership, handler: RecordHandler): Promise<void> {
    let { position } = await engine.groups.claim(ownership);
    let moved = Promise.withResolvers<void>();
    const unsubscribe = engine.signals.subscribe((signal) => {
      if (signal.kind === "partition" && signal.partition === ownership.partition) moved.resolve();
    });
    while (!stopped) {
      moved = Promise.withResolvers();
      const [outcome] = await engine.groups.fetch([{ ownership, position, bytesMax: fetchBytes, recordsMax: 100_000 }]);
      if (outcome === undefined) throw new Error("a fetch without an outcome");
      if (!outcome.ok) throw outcome.error;
      position = outcome.position;
      for (const { body } of outcome.entries) for (const { value } of decodeRecords(body)) handler(value);
      if (outcome.entries.length === 0) {
        await Promise.race([moved.promise, sleep(lookMs)]);
        continue;
      }
      const entries = outcome.entries.map(({ baseOffset, recordCount }) => ({
        baseOffset,
        recordCount,
        ranges: [{ firstOffset: baseOffset, lastOffset: baseOffset + BigInt(recordCount - 1), verb: "ack" as const }],
      }));
      const [settled] = await engine.groups.settle([{ ownership, entries }]);
      if (settled?.ok !== true) throw settled?.error ?? new Error("a settle without an outcome");
    }
    unsubscribe();
  }

  return {
    async createProducer() {
      const append = createAppender(engine, topic, load.partitions);
      return { sendBatch: append, send: (payload) => append([payload]) };
    },
    async consume(group, index, count, handler) {
      if (index > 0) return;
      const memberId = `member-${count}`;
      const spec = { group, memberId, incarnation: "1", clientId: "bench", clientVersion: "1", brokerId: "bench" };
      const member = { ...spec, topics: [topic], sessionTimeoutMs: 600_000, staticMember: false };
      const { partitions } = await engine.groups.join(member, "earliest");
      for (const { partition, epoch } of partitions)
        loops.push(read({ group, topic, partition, memberId, epoch }, handler));
    },
    async close() {
      stopped = true;
      await Promise.all(loops);
      await engine.topics.delete(topic);
      await engine.close();
    },
  };
}

/** An idempotent producer on the engine: partitions in turn, numbered batches. */
function createAppender(engine: Engine, topic: string, partitions: number) {
  const producerId = (randomBytes(8).readBigUInt64LE() >> 1n) | 1n;
  const sequences = new Array<number>(partitions).fill(0);
  let next = Math.floor(Math.random() * partitions);
  return async (payloads: readonly Uint8Array[]): Promise<void> => {
    const partition = next;
    next = (next + 1) % partitions;
    const timestampMs = Date.now();
    const records = encodeRecords(payloads.map((value) => ({ value, timestampMs })));
    const firstSequence = sequences[partition] as number;
    sequences[partition] = firstSequence + payloads.length;
    const batch: LogBatch = {
      recordCount: payloads.length,
      codec: codecNumbers.none,
      crc32: batchChecksum(records),
      producerId,
      producerEpoch: 0,
      firstSequence: BigInt(firstSequence),
      uncompressedBytes: records.length,
      records,
    };
    const [outcomes] = await engine.log.append([{ topic, partition, batches: [batch] }]);
    for (const outcome of outcomes ?? []) if (!outcome.ok) throw outcome.error;
  };
}
