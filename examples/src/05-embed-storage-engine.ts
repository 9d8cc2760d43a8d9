/**
 * The storage engine alone, inside this process, without broker or network: a partitioned log with consumer groups as a library.
 * The same code runs on a folder and, when REDIS_URL is set, on Redis.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { batchChecksum, codecNumbers, decodeEntryMeta, decodeRecords, encodeRecords } from "@gmq/protocol";
import { claimWhole, type Engine, type LogBatch, type LogEntry } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createRedisEngine } from "@gmq/storage/redis";

const topic = `example-log-${Date.now()}`;
const group = `${topic}-readers`;
const member = { group, memberId: "reader", incarnation: `${process.pid}` };

/** A batch is encoded once, by whoever produces; engines keep its bytes as they are. */
function batchOf(values: readonly string[]): LogBatch {
  const timestampMs = Date.now();
  const records = encodeRecords(values.map((value) => ({ value: Buffer.from(value), timestampMs })));
  return {
    recordCount: values.length,
    codec: codecNumbers.none,
    crc32: batchChecksum(records),
    producerId: 0n,
    producerEpoch: 0,
    firstSequence: 0n,
    uncompressedBytes: records.byteLength,
    records,
  };
}

/** An entry holds the batches of one append turn, joined; its meta says where each ends. */
function valuesOf({ meta, body }: LogEntry): string[] {
  let from = 0;
  return decodeEntryMeta(meta).batches.flatMap(({ bodyBytes }) => {
    const batch = body.subarray(from, from + bodyBytes);
    from += bodyBytes;
    return decodeRecords(batch).map(({ value }) => Buffer.from(value).toString());
  });
}

async function append(engine: Engine, ...values: string[]): Promise<void> {
  const [outcomes] = await engine.log.append([{ topic, partition: 0, batches: [batchOf(values)] }]);
  const outcome = outcomes?.[0];
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  console.log(`  appended ${values.length} records at offset ${outcome.firstOffset}`);
}

/** Reads what the group has not had yet, and settles all of it but the last record. */
async function consume(engine: Engine): Promise<string[]> {
  const spec = { clientId: "example", clientVersion: "1", brokerId: "none", topics: [topic], staticMember: false };
  const view = await engine.groups.join({ ...member, ...spec, sessionTimeoutMs: 10_000 }, "earliest");
  const epoch = view.partitions.find(({ memberId }) => memberId === member.memberId)?.epoch;
  assert.ok(epoch !== undefined, "the only member owns the only partition");
  const ownership = { group, memberId: member.memberId, topic, partition: 0, epoch };
  const { position, pending } = await claimWhole(engine.groups, ownership);
  console.log(`  claimed with epoch ${epoch}: position ${position}, ${pending.length} entries pending`);
  const [fetched] = await engine.groups.fetch([{ ownership, position, bytesMax: 1 << 20, recordsMax: 1_000 }]);
  if (fetched?.ok !== true) throw fetched?.error ?? new Error("no outcome");
  const entries = fetched.entries.map(({ baseOffset, recordCount }) => {
    const lastOffset = baseOffset + BigInt(recordCount) - 2n;
    return { baseOffset, recordCount, ranges: [{ firstOffset: baseOffset, lastOffset, verb: "ack" as const }] };
  });
  const [settled] = await engine.groups.settle([{ ownership, entries }]);
  assert.ok(settled?.ok === true);
  await engine.groups.leave(member);
  return fetched.entries.flatMap(valuesOf);
}

async function demonstrate(name: string, open: () => Promise<Engine>): Promise<void> {
  console.log(`${name}:`);
  const engine = await open();
  await engine.topics.create(topic, { partitions: 1 });
  await append(engine, "a", "b", "c");
  const values = await consume(engine);
  console.log(`  consumed ${values.join(" ")}`);
  assert.deepEqual(values, ["a", "b", "c"]);
  await engine.close();

  // Everything is in the store: another process finds the log, and the one record that was handed out and not settled.
  const again = await open();
  const [progress] = await again.groups.offsets(group);
  console.log(`  opened again: position ${progress?.position}, unsettled ${progress?.unsettledRecords}`);
  assert.equal(progress?.position, 3n);
  assert.equal(progress?.unsettledRecords, 1);
  const { entries } = await again.log.read({
    topic,
    partition: 0,
    from: "earliest",
    entriesMax: 10,
    bytesMax: 1 << 20,
  });
  assert.deepEqual(entries.flatMap(valuesOf), ["a", "b", "c"]);
  await again.groups.delete(group);
  await again.topics.delete(topic);
  await again.close();
}

const path = await mkdtemp(join(tmpdir(), "gmq-example-"));
await demonstrate("embedded, in a folder", () => createEmbeddedEngine({ path }));
await rm(path, { recursive: true });

const url = process.env["REDIS_URL"];
if (url !== undefined) await demonstrate("Redis", () => createRedisEngine({ url, prefix: "gmq-example" }));
else console.log("set REDIS_URL to run the same on Redis");
