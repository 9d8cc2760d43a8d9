import { GmqError } from "@gmq/protocol";
import type { GroupDocuments, SessionTouch } from "../coordinator/group-documents.js";
import type { StartPosition, TopicPartition } from "../engine.js";
import { countUnsettled, skippedState, unsettledState } from "../log/entry-states.js";
import { pageItemsMax } from "../pages-of.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";
import type { EmbeddedReads } from "./embedded-reads.js";
import type { EmbeddedSignals } from "./embedded-signals.js";
import type { EmbeddedTopics } from "./embedded-topics.js";
import { heldPage, pendingEntries } from "./pending-entries.js";

/** Group documents, sessions and start positions in the embedded store. */
export function createEmbeddedDocuments(
  database: Database,
  topics: EmbeddedTopics,
  reads: EmbeddedReads,
  signals: EmbeddedSignals,
  clock: Clock,
): GroupDocuments {
  function versionOf(group: string): number {
    const row = database.statement("select version from groups where name = ?").get(group);
    return row === undefined ? 0 : Number(row["version"]);
  }

  function expiredSessions(group: string, nowMs: number): string[] {
    const rows = database
      .statement("select session from sessions where group_name = ? and deadline_ms <= ?")
      .all(group, nowMs);
    return rows.map((row) => String(row["session"]));
  }

  function nextExpiryInMs(group: string, nowMs: number): number | undefined {
    const row = database.statement("select min(deadline_ms) as next from sessions where group_name = ?").get(group);
    return typeof row?.["next"] === "bigint" ? Math.max(0, Number(row["next"]) - nowMs) : undefined;
  }

  return {
    async load(group) {
      const nowMs = clock.nowMs();
      const row = database.statement("select version, document from groups where name = ?").get(group);
      return {
        version: row === undefined ? 0 : Number(row["version"]),
        document: row === undefined ? undefined : String(row["document"]),
        expired: expiredSessions(group, nowMs),
        nowMs,
      };
    },

    async sessionsLeftMs(group) {
      const nowMs = clock.nowMs();
      const rows = database.statement("select session, deadline_ms from sessions where group_name = ?").all(group);
      return new Map(rows.map((row) => [String(row["session"]), Number(row["deadline_ms"]) - nowMs]));
    },

    async save(group, expectedVersion, document, { renew, remove, expired }) {
      const nowMs = clock.nowMs();
      const saved = database.transaction(() => {
        if (versionOf(group) !== expectedVersion) return false;
        const alive = database.statement(
          "select 1 from sessions where group_name = ? and session = ? and deadline_ms > ?",
        );
        if (expired.some((session) => alive.get(group, session, nowMs) !== undefined)) return false;
        const drop = database.statement("delete from sessions where group_name = ? and session = ?");
        for (const session of [...remove, ...expired]) drop.run(group, session);
        const put = database.statement(
          "insert or replace into sessions (group_name, session, deadline_ms) values (?, ?, ?)",
        );
        for (const { session, timeoutMs } of renew) put.run(group, session, nowMs + timeoutMs);
        database
          .statement("insert or replace into groups (name, version, document) values (?, ?, ?)")
          .run(group, expectedVersion + 1, document);
        return true;
      });
      if (saved) signals.send({ kind: "group", group });
      return saved;
    },

    async touch(renewals) {
      const nowMs = clock.nowMs();
      return database.transaction(() => {
        const renew = database.statement(
          "update sessions set deadline_ms = ? where group_name = ? and session = ? and deadline_ms > ?",
        );
        const alive = renewals.map(
          ({ group, session, timeoutMs }) => Number(renew.run(nowMs + timeoutMs, group, session, nowMs).changes) > 0,
        );
        const groups = new Map(
          renewals.map(({ group }) => [
            group,
            {
              version: versionOf(group),
              anyExpired: expiredSessions(group, nowMs).length > 0,
              nextExpiryInMs: nextExpiryInMs(group, nowMs),
            },
          ]),
        );
        return renewals.map(({ group }, index) => ({
          alive: alive[index] === true,
          ...(groups.get(group) as Omit<SessionTouch, "alive">),
        }));
      });
    },

    async list() {
      return database
        .statement("select name from groups order by name")
        .all()
        .map((row) => String(row["name"]));
    },

    async delete(group, expectedVersion, partitions) {
      const gone = partitions.flatMap((partition) => knownId(topics, partition));
      const deleted = database.transaction(() => {
        if (versionOf(group) !== expectedVersion) return false;
        database.statement("delete from groups where name = ?").run(group);
        database.statement("delete from sessions where group_name = ?").run(group);
        for (const table of ["ownerships", "desks", "pending", "retries", "rejections", "hand_backs"]) {
          for (const id of gone)
            database.statement(`delete from ${table} where partition_id = ? and group_name = ?`).run(id, group);
        }
        return true;
      });
      if (deleted) signals.send({ kind: "group", group });
      return deleted;
    },

    async initialize(group, partitions, start) {
      const ids = partitions.map(({ topic, partition }) => topics.partitionId(topic, partition));
      database.transaction(() => {
        for (const id of ids) begin(id, group, start);
      });
    },

    async progress(group, { topic, partition }, { from = 0n, itemsMax } = {}) {
      const id = topics.partitionId(topic, partition);
      const row = database
        .statement("select position from ownerships where partition_id = ? and group_name = ?")
        .get(id, group);
      if (row === undefined) return undefined;
      const page = { partitionId: id, group, from, itemsMax: pageItemsMax(itemsMax) };
      return { position: row["position"] as bigint, ...heldPage(database, clock, page) };
    },

    async offsetOf({ topic, partition }, position) {
      return placeAt(topics.partitionId(topic, partition), position).offset;
    },

    async reposition(group, { topic, partition }, epoch, offset) {
      const id = topics.partitionId(topic, partition);
      return database.transaction(() => {
        const row = database
          .statement("select epoch, position from ownerships where partition_id = ? and group_name = ?")
          .get(id, group);
        if (row === undefined || Number(row["epoch"]) > epoch) {
          throw new GmqError("fenced", `the group ${group} moved on in ${topic}/${partition}`, { field: "epoch" });
        }
        const before = { position: row["position"] as bigint, pending: pendingEntries(database, clock, id, group) };
        for (const table of ["ownerships", "desks", "pending", "retries", "rejections", "hand_backs"]) {
          database.statement(`delete from ${table} where partition_id = ? and group_name = ?`).run(id, group);
        }
        place(id, group, epoch, { offset });
        return before;
      });
    },
  };

  /** Fixes the group's first position; no effect when it has begun. */
  function begin(partitionId: number, group: string, start: StartPosition): void {
    const exists = database
      .statement("select 1 from ownerships where partition_id = ? and group_name = ?")
      .get(partitionId, group);
    if (exists === undefined) place(partitionId, group, 0, start);
  }

  /** A position, and the entry that it lies inside of, if any: with the records before it skipped. */
  function placeAt(partitionId: number, start: StartPosition) {
    const base = reads.locate(partitionId, start);
    const wanted = typeof start === "object" && "offset" in start ? start.offset : base;
    const entry =
      wanted > base
        ? reads.entriesFrom(partitionId, base, { entriesMax: 1, recordsMax: 1, bytesMax: 1 })[0]
        : undefined;
    const skipped = entry === undefined ? 0 : Math.min(Number(wanted - base), entry.recordCount);
    if (entry === undefined || skipped === 0) return { offset: base, position: base, split: undefined };
    const position = base + BigInt(entry.recordCount);
    if (skipped === entry.recordCount) return { offset: position, position, split: undefined };
    const states = skippedState.repeat(skipped) + unsettledState.repeat(entry.recordCount - skipped);
    return { offset: base + BigInt(skipped), position, split: { base, recordCount: entry.recordCount, states } };
  }

  function place(partitionId: number, group: string, epoch: number, start: StartPosition): void {
    const { position, split } = placeAt(partitionId, start);
    if (split !== undefined) {
      database
        .statement(
          "insert into pending (partition_id, group_name, base_offset, record_count, states, held_since_ms) values (?, ?, ?, ?, ?, ?)",
        )
        .run(partitionId, group, split.base, split.recordCount, split.states, clock.nowMs());
    }
    database
      .statement(
        "insert into ownerships (partition_id, group_name, epoch, member_id, position, unsettled) values (?, ?, ?, '', ?, ?)",
      )
      .run(partitionId, group, epoch, position, split === undefined ? 0 : countUnsettled(split.states));
  }
}

/** The partition's id, nothing when its topic is gone. */
function knownId(topics: EmbeddedTopics, { topic, partition }: TopicPartition): number[] {
  try {
    return [topics.partitionId(topic, partition)];
  } catch {
    return []; // a deleted topic took the group's state with it
  }
}
