import type { GroupLoss, TopicPartition } from "../engine.js";
import { countOpen } from "../log/entry-states.js";
import type { EntryHead, TrimMode, TrimResult, TrimStore } from "../retention/trim-store.js";
import type { Database } from "./database.js";
import type { EmbeddedAppender } from "./embedded-appender.js";
import type { EmbeddedReads } from "./embedded-reads.js";
import type { EmbeddedTopics } from "./embedded-topics.js";
import { placeOf } from "./schema.js";

/** What one group loses by a trim. */
interface GroupPlan extends GroupLoss {
  readonly unsettled: number;
}

/** Trims of the embedded store: one transaction over the entries and every group's side of the partition. */
export function createEmbeddedTrims(
  database: Database,
  topics: EmbeddedTopics,
  reads: EmbeddedReads,
  appender: Pick<EmbeddedAppender, "keepProducers">,
): TrimStore {
  const idOf = ({ topic, partition }: TopicPartition): number => topics.partitionId(topic, partition);

  function firstEntry(partitionId: number, test: (head: EntryHead) => boolean): EntryHead | undefined {
    let { startOffset: low, endOffset: high } = topics.ends(partitionId);
    while (low < high) {
      const middle = low + (high - low) / 2n;
      const head = reads.headBefore(partitionId, middle) ?? reads.headFrom(partitionId, middle);
      if (head === undefined) return undefined;
      const end = head.baseOffset + BigInt(head.recordCount);
      if (test(head)) high = head.baseOffset < high ? head.baseOffset : middle;
      else low = end > middle ? end : middle + 1n;
    }
    return reads.headFrom(partitionId, low);
  }

  /** What each group was not given, and what it was given and has not settled. */
  function plansOf(partitionId: number, start: bigint, to: bigint): GroupPlan[] {
    const groups = database
      .statement("select group_name, position from ownerships where partition_id = ?")
      .all(partitionId);
    return groups.map((row) => {
      const group = String(row["group_name"]);
      const position = row["position"] as bigint;
      const from = position > start ? position : start;
      const unread = to > from ? Number(to - from) : 0;
      let unsettled = 0;
      for (const pending of database
        .statement(
          "select record_count, states from pending where partition_id = ? and group_name = ? and base_offset < ?",
        )
        .iterate(partitionId, group, to)) {
        const states = String(pending["states"]);
        unsettled += states === "" ? Number(pending["record_count"]) : countOpen(states);
      }
      return { group, records: unread + unsettled, unsettled };
    });
  }

  function trim(partitionId: number, to: bigint, mode: TrimMode): TrimResult {
    const { startOffset } = topics.ends(partitionId);
    const untouched = { startBefore: startOffset, startAfter: startOffset, losses: [] };
    if (to <= startOffset || reads.headBefore(partitionId, to)?.baseOffset !== to) return untouched;
    const plans = plansOf(partitionId, startOffset, to);
    const losses = plans.filter(({ records }) => records > 0).map(({ group, records }) => ({ group, records }));
    if (mode === "settled" && losses.length > 0) return untouched;
    if (mode !== "dry run") {
      appender.keepProducers(partitionId, to);
      for (const table of ["pending", "retries", "rejections", "hand_backs"]) {
        database.statement(`delete from ${table} where partition_id = ? and base_offset < ?`).run(partitionId, to);
      }
      for (const { group, records, unsettled } of plans) {
        database
          .statement(
            "update ownerships set position = max(position, ?), unsettled = unsettled - ?, lost = lost + ? where partition_id = ? and group_name = ?",
          )
          .run(to, unsettled, records, partitionId, group);
      }
      database
        .statement("delete from entries where place >= ? and place < ?")
        .run(placeOf(partitionId, 0n), placeOf(partitionId, to));
    }
    return { startBefore: startOffset, startAfter: to, losses };
  }

  return {
    async ends(partition) {
      return topics.ends(idOf(partition));
    },
    async firstEntry(partition, test) {
      return firstEntry(idOf(partition), test)?.baseOffset;
    },
    async entryAt(partition, offset) {
      const partitionId = idOf(partition);
      return reads.headBefore(partitionId, offset)?.baseOffset ?? topics.startOffset(partitionId);
    },
    async settledUpTo(partition) {
      const row = database
        .statement(
          `select min(coalesce((select min(base_offset) from pending
             where pending.partition_id = ownerships.partition_id and pending.group_name = ownerships.group_name), position)) as settled
           from ownerships where partition_id = ?`,
        )
        .get(idOf(partition));
      const settled = row?.["settled"];
      return typeof settled === "bigint" ? settled : undefined;
    },
    async trim(partition, to, mode) {
      const partitionId = idOf(partition);
      return database.transaction(() => trim(partitionId, to, mode));
    },
  };
}
