import type { HeldEntry, HeldPage, PendingEntry } from "../engine.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";

/** In `hand_backs`, the index that stands for the whole entry. */
const wholeEntry = -1;

/** What of a partition a group was given and has not settled, in order of offsets. */
export function pendingEntries(database: Database, clock: Clock, partitionId: number, group: string): PendingEntry[] {
  const of = { partitionId, group };
  const rows = pendingRows(database, of, 0n, everything);
  return entriesOf(clock, rows, {
    retries: rowsOf(database, "retries", of, 0n, lastBase, everything),
    handBacks: rowsOf(database, "hand_backs", of, 0n, lastBase, everything),
  }).map(pendingOf);
}

/** A page of what is pending, of one desk alone when it is named. */
export interface PendingPage extends Holders {
  readonly from: bigint;
  /** Of entries, of the states of records, of retries and of hand-backs; one larger entry comes alone. */
  readonly itemsMax: number;
}

/** Reads a page, with since when each entry is with who has it and with which desk, and where the next page begins. */
export function heldPage(database: Database, clock: Clock, { from, itemsMax, ...of }: PendingPage): HeldPage {
  // One of each more than fits: it tells where the page ends.
  const rows = pendingRows(database, of, from, itemsMax + 1);
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return { pending: [] };
  const read = (table: HistoryTable, to: bigint, limit: number) =>
    rowsOf(database, table, of, baseOf(first), to, limit);
  let retries = read("retries", baseOf(last), itemsMax + 1);
  let handBacks = read("hand_backs", baseOf(last), itemsMax + 1);
  const ends = [rows, retries, handBacks].map((list) => (list.length > itemsMax ? baseOf(list[itemsMax]) : undefined));
  let count = 0;
  let states = 0;
  for (const row of rows) {
    states += String(row["states"]).length;
    if (states > itemsMax || ends.some((end) => end !== undefined && baseOf(row) >= end)) break;
    count++;
  }
  if (count === 0) {
    count = 1;
    retries = read("retries", baseOf(first), everything);
    handBacks = read("hand_backs", baseOf(first), everything);
  }
  const pending = entriesOf(clock, rows.slice(0, count), { retries, handBacks });
  const next = rows[count];
  return next === undefined ? { pending } : { pending, next: baseOf(next) };
}

type Row = Record<string, unknown>;

/** Whose entries. */
interface Holders {
  readonly partitionId: number;
  readonly group: string;
  readonly desk?: string | undefined;
}

type HistoryTable = "retries" | "hand_backs";

/** SQLite's word for no limit. */
const everything = -1;
const lastBase = 2n ** 62n;

function baseOf(row: Row | undefined): bigint {
  return row?.["base_offset"] as bigint;
}

function pendingRows(
  database: Database,
  { partitionId, group, desk = null }: Omit<Holders, "desk"> & { readonly desk?: string | null | undefined },
  from: bigint,
  limit: number,
): Row[] {
  return database
    .statement(
      `select base_offset, record_count, states, desk, held_since_ms from pending
       where partition_id = ? and group_name = ? and base_offset >= ? and (? is null or desk = ?) order by base_offset limit ?`,
    )
    .all(partitionId, group, from, desk, desk, limit);
}

function rowsOf(
  database: Database,
  table: HistoryTable,
  { partitionId, group }: Holders,
  from: bigint,
  to: bigint,
  limit: number,
): Row[] {
  return database
    .statement(
      `select * from ${table} where partition_id = ? and group_name = ? and base_offset between ? and ?
       order by base_offset, record_index limit ?`,
    )
    .all(partitionId, group, from, to, limit);
}

function entriesOf(
  clock: Clock,
  rows: readonly Row[],
  known: { readonly retries: readonly Row[]; readonly handBacks: readonly Row[] },
): HeldEntry[] {
  const nowMs = clock.nowMs();
  const retries = byEntry(known.retries, (row) => ({
    index: Number(row["record_index"]),
    attempts: Number(row["attempts"]),
    dueMs: Number(row["due_ms"]),
  }));
  const handBacks = byEntry(known.handBacks, (row) => ({
    index: Number(row["record_index"]),
    releases: Number(row["times"]),
  }));
  return rows.map((row) => {
    const baseOffset = baseOf(row);
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
}

function byEntry<Item>(rows: readonly Row[], itemOf: (row: Row) => Item): Map<bigint, Item[]> {
  const items = new Map<bigint, Item[]>();
  for (const row of rows) {
    const base = baseOf(row);
    const list = items.get(base) ?? [];
    list.push(itemOf(row));
    items.set(base, list);
  }
  return items;
}

/** For the group as a whole. */
export function pendingOf({ idleMs: _since, desk: _desk, ...entry }: HeldEntry): PendingEntry {
  return entry;
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
