import { checkName, decodeEntryMeta, GmqError } from "@gmq/protocol";
import type { PartitionStats, TopicInfo, TopicSettings, TopicStore } from "../engine.js";
import { bodyBytesOf } from "../log/entry-bytes.js";
import { checkPartitions, checkTopicConfig, checkTopicSettings } from "../retention/topic-config.js";
import { emptyEnds, type LogEnds } from "../retention/trim-store.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";
import type { EmbeddedSignals } from "./embedded-signals.js";
import { baseOffsetMax, baseOffsetOf, placeOf } from "./schema.js";

/** Topics of the embedded store, and the numbers that stand for their partitions in every other table. */
export interface EmbeddedTopics extends TopicStore {
  /** @throws GmqError `topic_not_found`, `partition_not_found` */
  partitionId(topic: string, partition: number): number;
  /** Offset that the next record gets. */
  endOffset(partitionId: number): bigint;
  /** Told by the appender after a commit. */
  setEndOffset(partitionId: number, endOffset: bigint): void;
  /** First offset kept, the end offset when none is. */
  startOffset(partitionId: number): bigint;
  /** Where a log begins and ends. */
  ends(partitionId: number): LogEnds;
}

/** Makes the topic store over a database. `deleted` is told which partition ids are gone. */
export function createEmbeddedTopics(
  database: Database,
  signals: EmbeddedSignals,
  clock: Clock,
  deleted: (partitionIds: readonly number[]) => void,
): EmbeddedTopics {
  const idsByTopic = new Map<string, readonly number[]>();
  const endOffsets = new Map<number, bigint>();
  let lastMadeMs = 0;

  function ids(topic: string): readonly number[] {
    let known = idsByTopic.get(topic);
    if (known === undefined) {
      const rows = database.statement("select id from partitions where topic = ? order by partition").all(topic);
      known = rows.map((row) => Number(row["id"]));
      if (known.length > 0) idsByTopic.set(topic, known);
    }
    return known;
  }

  function existing(topic: string): readonly number[] {
    const known = ids(topic);
    if (known.length > 0) return known;
    throw new GmqError("topic_not_found", `there is no topic ${checkName("topic", topic)}`, { field: "topic" });
  }

  /** Each topic's making has a time of its own: it tells the lives of a topic apart. */
  function nextMakingMs(): number {
    const row = database.statement("select max(created_at_ms) as last from topics").get();
    lastMadeMs = Math.max(clock.nowMs(), lastMadeMs + 1, Number(row?.["last"] ?? 0n) + 1);
    return lastMadeMs;
  }

  function endOffset(partitionId: number): bigint {
    let end = endOffsets.get(partitionId);
    if (end === undefined) {
      const last = database
        .statement("select place, record_count from entries where place between ? and ? order by place desc limit 1")
        .get(placeOf(partitionId, 0n), placeOf(partitionId, baseOffsetMax));
      end = last === undefined ? 0n : baseOffsetOf(last["place"] as bigint) + (last["record_count"] as bigint);
      endOffsets.set(partitionId, end);
    }
    return end;
  }

  function startOffset(partitionId: number): bigint {
    const first = database
      .statement("select min(place) as place from entries where place between ? and ?")
      .get(placeOf(partitionId, 0n), placeOf(partitionId, baseOffsetMax));
    const place = first?.["place"];
    return typeof place === "bigint" ? baseOffsetOf(place) : endOffset(partitionId);
  }

  function edge(partitionId: number, order: "asc" | "desc"): Record<string, unknown> | undefined {
    return database
      .statement(
        `select place, record_count, append_time_ms, meta from entries where place between ? and ? order by place ${order} limit 1`,
      )
      .get(placeOf(partitionId, 0n), placeOf(partitionId, baseOffsetMax));
  }

  function ends(partitionId: number): LogEnds {
    const [first, last] = [edge(partitionId, "asc"), edge(partitionId, "desc")];
    if (first === undefined || last === undefined) return emptyEnds;
    const newest = decodeEntryMeta(last["meta"] as Uint8Array);
    const logBytes = newest.logBytes + bodyBytesOf(newest);
    const lastBaseOffset = baseOffsetOf(last["place"] as bigint);
    return {
      isEmpty: false,
      startOffset: baseOffsetOf(first["place"] as bigint),
      lastBaseOffset,
      endOffset: lastBaseOffset + (last["record_count"] as bigint),
      firstAppendMs: Number(first["append_time_ms"]),
      lastAppendMs: Number(last["append_time_ms"]),
      bytes: logBytes - decodeEntryMeta(first["meta"] as Uint8Array).logBytes,
      logBytes,
    };
  }

  function partitionStats(partitionId: number, partition: number): PartitionStats {
    const row = database
      .statement("select count(*) as entries from entries where place between ? and ?")
      .get(placeOf(partitionId, 0n), placeOf(partitionId, baseOffsetMax));
    const { startOffset: start, endOffset: end, lastAppendMs, firstAppendMs, bytes } = ends(partitionId);
    const entries = Number(row?.["entries"] ?? 0n);
    return { partition, startOffset: start, endOffset: end, entries, lastAppendMs, bytes, firstAppendMs };
  }

  function stored(name: string): TopicInfo {
    const row = database.statement("select * from topics where name = ?").get(name);
    if (row === undefined) throw new GmqError("topic_not_found", `there is no topic ${name}`, { field: "topic" });
    return topicOf(row);
  }

  function replace({ name, config: { partitions, ...settings }, version }: TopicInfo): void {
    database
      .statement("update topics set partitions = ?, settings = ?, version = ? where name = ?")
      .run(partitions, JSON.stringify(settings), version, name);
  }

  function addRows(name: string, from: number, to: number): void {
    const insert = database.statement("insert into partitions (topic, partition) values (?, ?)");
    for (let partition = from; partition < to; partition++) insert.run(name, partition);
  }

  /** Above the old one, and above that of a topic of this name that was made before it. */
  function nextVersion({ version }: TopicInfo): number {
    return Math.max(version + 1, clock.nowMs());
  }

  return {
    async create(name, asked) {
      checkName("topic", name);
      const config = checkTopicConfig(asked);
      const { partitions, ...settings } = config;
      const createdAtMs = nextMakingMs();
      database.transaction(() => {
        const { changes } = database
          .statement(
            "insert into topics (name, partitions, settings, created_at_ms, version) values (?, ?, ?, ?, ?) on conflict do nothing",
          )
          .run(name, partitions, JSON.stringify(settings), createdAtMs, createdAtMs);
        if (Number(changes) === 0)
          throw new GmqError("topic_exists", `the topic ${name} exists already`, { field: "topic" });
        addRows(name, 0, partitions);
      });
      signals.send({ kind: "topic", topic: name });
      return { name, config, createdAtMs, version: createdAtMs };
    },
    async alter(name, asked, version) {
      checkName("topic", name);
      const settings = checkTopicSettings(asked);
      const next = database.transaction(() => {
        const info = stored(name);
        if (info.version !== version) {
          throw new GmqError("conflict", `the topic ${name} was changed meanwhile`, { field: "version" });
        }
        const { partitions } = info.config;
        const changed = { ...info, config: { partitions, ...settings }, version: nextVersion(info) };
        replace(changed);
        return changed;
      });
      signals.send({ kind: "topic", topic: name });
      return next;
    },
    async addPartitions(name, partitions) {
      checkName("topic", name);
      const next = database.transaction(() => {
        const info = stored(name);
        checkPartitions(partitions, info.config.partitions + 1);
        addRows(name, info.config.partitions, partitions);
        const changed = { ...info, config: { ...info.config, partitions }, version: nextVersion(info) };
        replace(changed);
        return changed;
      });
      idsByTopic.delete(name);
      signals.send({ kind: "topic", topic: name });
      return next;
    },
    async get(name) {
      const row = database.statement("select * from topics where name = ?").get(name);
      if (row !== undefined) return topicOf(row);
      checkName("topic", name);
      return undefined;
    },
    async list() {
      return database.statement("select * from topics order by name").all().map(topicOf);
    },
    async delete(name) {
      const gone = existing(name);
      database.transaction(() => {
        for (const id of gone) {
          database
            .statement("delete from entries where place between ? and ?")
            .run(placeOf(id, 0n), placeOf(id, baseOffsetMax));
          for (const table of [
            "producers",
            "delayed",
            "ownerships",
            "desks",
            "pending",
            "retries",
            "rejections",
            "hand_backs",
          ]) {
            database.statement(`delete from ${table} where partition_id = ?`).run(id);
          }
        }
        database.statement("delete from partitions where topic = ?").run(name);
        database.statement("delete from topics where name = ?").run(name);
      });
      idsByTopic.delete(name);
      for (const id of gone) endOffsets.delete(id);
      deleted(gone);
      signals.send({ kind: "topic", topic: name });
    },
    async stats(name) {
      return existing(name).map(partitionStats);
    },
    partitionId(topic, partition) {
      const known = existing(topic);
      const id = known[partition];
      if (id !== undefined) return id;
      throw new GmqError("partition_not_found", `the topic ${topic} has no partition ${partition}`, {
        field: "partition",
        limit: `0 to ${known.length - 1}`,
      });
    },
    endOffset,
    setEndOffset: (partitionId, end) => void endOffsets.set(partitionId, end),
    startOffset,
    ends,
  };
}

function topicOf(row: Record<string, unknown>): TopicInfo {
  return {
    name: String(row["name"]),
    config: {
      partitions: Number(row["partitions"]),
      ...(JSON.parse(String(row["settings"])) as TopicSettings),
    },
    createdAtMs: Number(row["created_at_ms"]),
    version: Number(row["version"]),
  };
}
