import { decodeEntryMeta } from "@gmq/protocol";
import type { LogEntry, ReadRequest, ReadResult, StartPosition } from "../engine.js";
import { bodyBytesOf } from "../log/entry-bytes.js";
import type { EntryHead } from "../retention/trim-store.js";
import type { Database } from "./database.js";
import type { EmbeddedTopics } from "./embedded-topics.js";
import { baseOffsetMax, baseOffsetOf, placeOf } from "./schema.js";

/** Reading entries of the embedded store, by place. */
export interface EmbeddedReads {
  read(request: ReadRequest): ReadResult;
  /** Entries whose base offset is at or after `from`: at least one when there is any, else as many as fit. */
  entriesFrom(partitionId: number, from: bigint, bounds: ReadBounds): LogEntry[];
  /** The base offset of the entry that holds the position, the end offset when none does. */
  locate(partitionId: number, position: StartPosition): bigint;
  /** The first entry at or after an offset. */
  headFrom(partitionId: number, offset: bigint): EntryHead | undefined;
  /** The last entry that begins at or before an offset. */
  headBefore(partitionId: number, offset: bigint): EntryHead | undefined;
}

export interface ReadBounds {
  readonly entriesMax: number;
  readonly recordsMax: number;
  readonly bytesMax: number;
}

/** Makes the reader. */
export function createEmbeddedReads(database: Database, topics: EmbeddedTopics): EmbeddedReads {
  function locate(partitionId: number, position: StartPosition): bigint {
    const end = topics.endOffset(partitionId);
    if (position === "earliest") return topics.startOffset(partitionId);
    if (position === "latest") return end;
    if ("timestampMs" in position) {
      const row = database
        .statement("select min(place) as place from entries where place between ? and ? and append_time_ms >= ?")
        .get(placeOf(partitionId, 0n), placeOf(partitionId, baseOffsetMax), position.timestampMs);
      return typeof row?.["place"] === "bigint" ? baseOffsetOf(row["place"]) : end;
    }
    if (position.offset >= end) return end;
    const row = database
      .statement("select max(place) as place from entries where place between ? and ?")
      .get(placeOf(partitionId, 0n), placeOf(partitionId, position.offset < 0n ? 0n : position.offset));
    return typeof row?.["place"] === "bigint" ? baseOffsetOf(row["place"]) : topics.startOffset(partitionId);
  }

  function headFrom(partitionId: number, offset: bigint): EntryHead | undefined {
    const row = database
      .statement(`select ${headColumns} from entries where place between ? and ? order by place limit 1`)
      .get(placeOf(partitionId, offset), placeOf(partitionId, baseOffsetMax));
    return row === undefined ? undefined : headOf(row);
  }

  function headBefore(partitionId: number, offset: bigint): EntryHead | undefined {
    const row = database
      .statement(`select ${headColumns} from entries where place between ? and ? order by place desc limit 1`)
      .get(placeOf(partitionId, 0n), placeOf(partitionId, offset));
    return row === undefined ? undefined : headOf(row);
  }

  function entriesFrom(partitionId: number, from: bigint, bounds: ReadBounds): LogEntry[] {
    const entries: LogEntry[] = [];
    let records = 0;
    let bytes = 0;
    const rows = database
      .statement(
        "select place, record_count, meta, body from entries where place between ? and ? order by place limit ?",
      )
      .iterate(placeOf(partitionId, from), placeOf(partitionId, baseOffsetMax), bounds.entriesMax);
    for (const row of rows) {
      const entry: LogEntry = {
        baseOffset: baseOffsetOf(row["place"] as bigint),
        recordCount: Number(row["record_count"]),
        meta: row["meta"] as Uint8Array,
        body: row["body"] as Uint8Array,
      };
      records += entry.recordCount;
      bytes += entry.body.length;
      if (entries.length > 0 && (records > bounds.recordsMax || bytes > bounds.bytesMax)) break;
      entries.push(entry);
      if (records >= bounds.recordsMax || bytes >= bounds.bytesMax) break;
    }
    return entries;
  }

  return {
    read({ topic, partition, from, entriesMax, bytesMax }) {
      const partitionId = topics.partitionId(topic, partition);
      return {
        entries: entriesFrom(partitionId, locate(partitionId, from), {
          entriesMax,
          recordsMax: Number.MAX_SAFE_INTEGER,
          bytesMax,
        }),
        startOffset: topics.startOffset(partitionId),
        endOffset: topics.endOffset(partitionId),
      };
    },
    entriesFrom,
    locate,
    headFrom,
    headBefore,
  };
}

const headColumns = "place, record_count, append_time_ms, meta";

function headOf(row: Record<string, unknown>): EntryHead {
  const meta = decodeEntryMeta(row["meta"] as Uint8Array);
  return {
    baseOffset: baseOffsetOf(row["place"] as bigint),
    recordCount: Number(row["record_count"]),
    appendTimeMs: Number(row["append_time_ms"]),
    logBytes: meta.logBytes,
    bodyBytes: bodyBytesOf(meta),
  };
}
