/** Tables of the embedded store. A `record_index` of -1 in `hand_backs` counts the take-overs of the whole entry. `desk` in `pending` names the desk of a shared group that has the entry, '' when the owner has it, `held_since_ms` when whoever has it was given it. `place` packs partition id and base offset into one integer key, so that a partition is one contiguous run of one b-tree. */

/** The store's file in its folder; its write-ahead log beside it ends in `-wal`. */
export const storeFile = "gmq.sqlite";
export const pageBytes = 8_192;

/** Grows with every change of the tables; a file with a higher one is refused. */
export const formatVersion = 1;

/** Base offsets take 40 bits: 1.1 trillion records per partition. Partition ids take 22 bits. */
const offsetBits = 40n;
export const baseOffsetMax = (1n << offsetBits) - 1n;

/** Key of an entry. */
export function placeOf(partitionId: number, baseOffset: bigint): bigint {
  return (BigInt(partitionId) << offsetBits) | baseOffset;
}

/** Base offset of a key. */
export function baseOffsetOf(place: bigint): bigint {
  return place & baseOffsetMax;
}

/** Columns that came after the first release of their table: a file without them gets them. */
export const laterColumns = [
  { table: "topics", column: "settings", definition: "text not null default '{}'" },
  { table: "ownerships", column: "lost", definition: "integer not null default 0" },
  { table: "pending", column: "desk", definition: "text not null default ''" },
  { table: "pending", column: "held_since_ms", definition: "integer not null default 0" },
] as const;

/** Rows that a GMQ without a column left: told as of now, which is the least that is true of them. Takes the time. */
export const laterValues = "update pending set held_since_ms = ? where held_since_ms = 0";

export const schema = `
create table if not exists format (version integer not null);
create table if not exists topics (
  name text primary key, partitions integer not null, created_at_ms integer not null, version integer not null
) without rowid;
create table if not exists partitions (
  id integer primary key autoincrement, topic text not null, partition integer not null, unique (topic, partition)
);
create table if not exists entries (
  place integer primary key, record_count integer not null, append_time_ms integer not null, meta blob not null, body blob not null
);
create table if not exists producers (partition_id integer primary key, up_to_offset integer not null, snapshot blob not null);
create table if not exists delayed (
  partition_id integer not null, id text not null, due_ms integer not null, batch blob not null, primary key (partition_id, id)
) without rowid;
create index if not exists delayed_by_due on delayed (due_ms, partition_id);
create table if not exists groups (name text primary key, version integer not null, document text not null) without rowid;
create table if not exists sessions (
  group_name text not null, session text not null, deadline_ms integer not null, primary key (group_name, session)
) without rowid;
create table if not exists ownerships (
  partition_id integer not null, group_name text not null, epoch integer not null, member_id text not null, position integer not null,
  unsettled integer not null, primary key (partition_id, group_name)
) without rowid;
create index if not exists ownerships_by_group on ownerships (group_name);
create table if not exists desks (
  partition_id integer not null, group_name text not null, member_id text not null, epoch integer not null,
  primary key (partition_id, group_name, member_id)
) without rowid;
create table if not exists pending (
  partition_id integer not null, group_name text not null, base_offset integer not null, record_count integer not null, states text not null,
  primary key (partition_id, group_name, base_offset)
) without rowid;
create table if not exists retries (
  partition_id integer not null, group_name text not null, base_offset integer not null, record_index integer not null,
  attempts integer not null, due_ms integer not null, primary key (partition_id, group_name, base_offset, record_index)
) without rowid;
create table if not exists rejections (
  partition_id integer not null, group_name text not null, base_offset integer not null, record_index integer not null,
  attempts integer not null, at_ms integer not null, reason text not null, error_text text not null,
  primary key (partition_id, group_name, base_offset, record_index)
) without rowid;
create table if not exists hand_backs (
  partition_id integer not null, group_name text not null, base_offset integer not null, record_index integer not null,
  times integer not null, primary key (partition_id, group_name, base_offset, record_index)
) without rowid;
`;
