/** Which entries go: by retention, and by a purge. Engine-agnostic; the engine's `trim` is the only thing that deletes. */
import { GmqError } from "@gmq/protocol";
import type { PurgedPartition, PurgeRequest, TopicInfo, TopicPartition } from "../engine.js";
import type { Retention } from "./topic-config.js";
import type { LogEnds, TrimStore } from "./trim-store.js";

/** Trims one partition to what its retention keeps. Returns the records lost by groups. */
export async function trimByRetention(
  store: TrimStore,
  partition: TopicPartition,
  retention: Retention,
  nowMs: number,
): Promise<number> {
  const ends = await store.ends(partition);
  if (ends.startOffset === ends.lastBaseOffset) return 0;
  const bound = await retentionStart(store, partition, retention, ends, nowMs);
  let lost = 0;
  if (bound > ends.startOffset) {
    const { losses } = await store.trim(partition, bound, "any");
    lost = losses.reduce((sum, { records }) => sum + records, 0);
  }
  if (retention.workQueue === true) {
    const settled = await store.settledUpTo(partition);
    if (settled !== undefined && settled > bound) {
      const to = await store.entryAt(partition, least(settled, ends.lastBaseOffset));
      if (to > ends.startOffset && to > bound) await store.trim(partition, to, "settled");
    }
  }
  return lost;
}

/** The base offset of the first entry that time, bytes and record count keep. Whole entries outside of a bound go, so a bound never takes what lies within it. */
async function retentionStart(
  store: TrimStore,
  partition: TopicPartition,
  { ms, bytes, records }: Retention,
  ends: LogEnds,
  nowMs: number,
): Promise<bigint> {
  let start = ends.startOffset;
  if (ms !== undefined && ends.firstAppendMs < nowMs - ms) {
    const kept = await store.firstEntry(partition, ({ appendTimeMs }) => appendTimeMs >= nowMs - ms);
    start = most(start, kept ?? ends.lastBaseOffset);
  }
  if (bytes !== undefined && ends.bytes > bytes) {
    const cutoff = ends.logBytes - bytes;
    const behind = await store.firstEntry(partition, ({ logBytes }) => logBytes > cutoff);
    start = most(start, behind === undefined ? ends.lastBaseOffset : await store.entryAt(partition, behind - 1n));
  }
  if (records !== undefined && ends.endOffset - ends.startOffset > BigInt(records)) {
    start = most(start, await store.entryAt(partition, ends.endOffset - BigInt(records)));
  }
  return least(start, ends.lastBaseOffset);
}

/** Trims what lies below an offset. @throws GmqError `invalid_argument`, `partition_not_found` */
export async function purge(store: TrimStore, topic: TopicInfo, request: PurgeRequest): Promise<PurgedPartition[]> {
  const { partition, toOffset, dryRun } = request;
  if (toOffset < 0n) {
    throw new GmqError("invalid_argument", `to_offset is ${toOffset}`, { field: "to_offset", limit: "0 or more" });
  }
  const count = topic.config.partitions;
  if (partition !== undefined && (!Number.isInteger(partition) || partition < 0 || partition >= count)) {
    throw new GmqError("partition_not_found", `the topic ${topic.name} has no partition ${partition}`, {
      field: "partition",
      limit: `0 to ${count - 1}`,
    });
  }
  const numbers = partition === undefined ? Array.from({ length: count }, (_, number) => number) : [partition];
  return Promise.all(
    numbers.map(async (number) => {
      const place = { topic: topic.name, partition: number };
      const { startOffset, lastBaseOffset } = await store.ends(place);
      const to = toOffset >= lastBaseOffset ? lastBaseOffset : await store.entryAt(place, toOffset);
      if (to <= startOffset) {
        return { partition: number, startBefore: startOffset, startAfter: startOffset, losses: [] };
      }
      return { partition: number, ...(await store.trim(place, to, dryRun === true ? "dry run" : "any")) };
    }),
  );
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
