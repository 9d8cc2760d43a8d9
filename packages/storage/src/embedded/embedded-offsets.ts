import type { GroupPartitionOffsets } from "../engine.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";
import type { EmbeddedTopics } from "./embedded-topics.js";
import { baseOffsetMax, placeOf } from "./schema.js";

/** Progress of a group in every partition that it has touched. */
export function groupOffsets(
  database: Database,
  topics: EmbeddedTopics,
  clock: Clock,
  group: string,
): GroupPartitionOffsets[] {
  const rows = database
    .statement(
      `select partition_id, topic, partition, position, unsettled, lost from ownerships join partitions on partitions.id = partition_id
       where group_name = ? order by topic, partition`,
    )
    .all(group);
  return rows.map((row) => {
    const partitionId = Number(row["partition_id"]);
    const position = row["position"] as bigint;
    const unsettledRecords = Number(row["unsettled"]);
    const endOffset = topics.endOffset(partitionId);
    const lagRecords = Number(endOffset > position ? endOffset - position : 0n) + unsettledRecords;
    return {
      topic: String(row["topic"]),
      partition: Number(row["partition"]),
      position,
      unsettledRecords,
      startOffset: topics.startOffset(partitionId),
      endOffset,
      lagRecords,
      lagMs: lagRecords === 0 ? 0 : oldestAgeMs(partitionId, position, unsettledRecords),
      lostRecords: Number(row["lost"]),
    };
  });

  /** Age of the oldest entry that is pending or not handed out yet. */
  function oldestAgeMs(partitionId: number, position: bigint, unsettledRecords: number): number {
    const pending =
      unsettledRecords === 0
        ? undefined
        : database
            .statement("select min(base_offset) as base from pending where partition_id = ? and group_name = ?")
            .get(partitionId, group)?.["base"];
    const from = typeof pending === "bigint" ? pending : position;
    const row = database
      .statement("select append_time_ms from entries where place between ? and ? order by place limit 1")
      .get(placeOf(partitionId, from), placeOf(partitionId, baseOffsetMax));
    return row === undefined ? 0 : Math.max(0, clock.nowMs() - Number(row["append_time_ms"]));
  }
}
