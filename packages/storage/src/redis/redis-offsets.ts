import { decodeEntryMeta } from "@gmq/protocol";
import type { GroupPartitionOffsets, TopicPartition } from "../engine.js";
import type { RedisConnection } from "./connection.js";
import { baseOffsetOfId, type Keys } from "./keys.js";
import { rethrow } from "./redis-errors.js";
import { itemsOf, type Scripts, textOf } from "./scripts.js";

/**
 * Progress of a group in partitions, from its own counters: XINFO's lag is null or wrong after trims. One script a partition, all in one round trip. A partition
 * that the group has not begun is left out.
 */
export async function groupOffsets(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  group: string,
  partitions: readonly TopicPartition[],
): Promise<GroupPartitionOffsets[]> {
  const all = await Promise.all(partitions.map((partition) => offsetsOf(partition))).catch(rethrow);
  return all.filter((offsets) => offsets !== undefined);

  async function offsetsOf({ topic, partition }: TopicPartition): Promise<GroupPartitionOffsets | undefined> {
    const place = { topic, partition };
    const names = [keys.log(place), keys.progress(place, group)];
    const reply = itemsOf(await scripts.run(connection, "group-offsets", names, [group]));
    if (textOf(reply[0]) === "") return undefined;
    const position = BigInt(textOf(reply[0]));
    const unsettledRecords = Number(textOf(reply[1]));
    const lostRecords = Number(textOf(reply[2]));
    const [entries, first, last, count, oldest] = reply.slice(3);
    // An emptied log ends where the group stands, as far as anybody can tell.
    const isEmpty = entries === 0;
    const lastEnd = isEmpty ? position : baseOffsetOfId(last as Buffer) + BigInt(textOf(count));
    const endOffset = lastEnd > position ? lastEnd : position;
    const startOffset = isEmpty ? endOffset : baseOffsetOfId(first as Buffer);
    const from = position > startOffset ? position : startOffset;
    const lagRecords = Number(endOffset - from) + unsettledRecords;
    const isOldestKnown = lagRecords > 0 && textOf(oldest) !== "";
    const lagMs = isOldestKnown ? Math.max(0, Date.now() - decodeEntryMeta(oldest as Buffer).appendTimeMs) : 0;
    return { topic, partition, position, unsettledRecords, startOffset, endOffset, lagRecords, lagMs, lostRecords };
  }
}
