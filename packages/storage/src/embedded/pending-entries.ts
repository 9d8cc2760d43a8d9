import type { HeldEntry, PendingEntry } from "../engine.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";

/** In `hand_backs`, the index that stands for the whole entry. */
const wholeEntry = -1;

/** What of a partition a group was given and has not settled, in order of offsets; of one desk alone when it is named. */
export function pendingEntries(...asked: Parameters<typeof heldEntries>): PendingEntry[] {
  return heldEntries(...asked).map(({ idleMs: _since, desk: _desk, ...entry }) => entry);
}

/** The same, with since when each entry is with who has it, and with which desk. */
export function heldEntries(
  database: Database,
  clock: Clock,
  partitionId: number,
  group: string,
  desk?: string,
): HeldEntry[] {
  const nowMs = clock.nowMs();
  const retries = byEntry("retries", (row) => ({
    index: Number(row["record_index"]),
    attempts: Number(row["attempts"]),
    dueMs: Number(row["due_ms"]),
  }));
  const handBacks = byEntry("hand_backs", (row) => ({
    index: Number(row["record_index"]),
    releases: Number(row["times"]),
  }));
  const rows = database
    .statement(
      "select base_offset, record_count, states, desk, held_since_ms from pending where partition_id = ? and group_name = ? order by base_offset",
    )
    .all(partitionId, group);
  const own = desk === undefined ? rows : rows.filter((row) => row["desk"] === desk);
  return own.map((row) => {
    const baseOffset = row["base_offset"] as bigint;
    const failed = retries.get(baseOffset) ?? [];
    const back = handBacks.get(baseOffset) ?? [];
    return {
      baseOffset,
      recordCount: Number(row["record_count"]),
      states: String(row["states"]),
      attempts: failed.map(({ index, attempts }) => ({ index, attempts })),
      due: failed
        .filter(({ dueMs }) => dueMs > 0)
        .map(({ index, dueMs }) => ({ index, inMs: Math.max(0, dueMs - nowMs) })),
      handBacks: {
        takeOvers: back.find(({ index }) => index === wholeEntry)?.releases ?? 0,
        releases: back.filter(({ index }) => index !== wholeEntry),
      },
      idleMs: Math.max(0, nowMs - Number(row["held_since_ms"])),
      desk: String(row["desk"]),
    };
  });

  function byEntry<Item>(
    table: "retries" | "hand_backs",
    itemOf: (row: Record<string, unknown>) => Item,
  ): Map<bigint, Item[]> {
    const items = new Map<bigint, Item[]>();
    for (const row of database
      .statement(`select * from ${table} where partition_id = ? and group_name = ? order by base_offset, record_index`)
      .all(partitionId, group)) {
      const base = row["base_offset"] as bigint;
      const list = items.get(base) ?? [];
      list.push(itemOf(row));
      items.set(base, list);
    }
    return items;
  }
}

/** Notes that everything pending of a partition is with somebody else from now on; what one desk had when it is named. */
export function holdAnew(database: Database, clock: Clock, partitionId: number, group: string, desk?: string): void {
  database
    .statement(
      "update pending set held_since_ms = ? where partition_id = ? and group_name = ? and (? is null or desk = ?)",
    )
    .run(clock.nowMs(), partitionId, group, desk ?? null, desk ?? null);
}

/** Counts that everything pending of a partition passed to another owner; what one desk had when it is named. */
export function countTakeOver(database: Database, partitionId: number, group: string, desk?: string): void {
  database
    .statement(
      `insert into hand_backs (partition_id, group_name, base_offset, record_index, times)
       select partition_id, group_name, base_offset, ${wholeEntry}, 1 from pending
       where partition_id = ? and group_name = ? and (? is null or desk = ?)
       on conflict do update set times = times + 1`,
    )
    .run(partitionId, group, desk ?? null, desk ?? null);
}

/** Counts that a record was handed back. */
export function countRelease(
  database: Database,
  partitionId: number,
  group: string,
  baseOffset: bigint,
  index: number,
): void {
  database
    .statement(
      `insert into hand_backs (partition_id, group_name, base_offset, record_index, times) values (?, ?, ?, ?, 1)
       on conflict do update set times = times + 1`,
    )
    .run(partitionId, group, baseOffset, index);
}
