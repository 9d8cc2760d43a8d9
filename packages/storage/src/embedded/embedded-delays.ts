import type { DelayStore } from "../delays/delay-store.js";
import type { TopicPartition } from "../engine.js";
import type { Clock } from "./clock.js";
import type { Database } from "./database.js";
import type { EmbeddedTopics } from "./embedded-topics.js";

/** Partitions looked at in one turn. */
const partitionsMax = 64;

/** Delayed batches in the embedded store: one table by partition and id. What is put in one turn of the event loop is one transaction: one flush to disk. */
export function createEmbeddedDelays(database: Database, topics: EmbeddedTopics, clock: Clock): DelayStore {
  const idOf = ({ topic, partition }: TopicPartition): number => topics.partitionId(topic, partition);

  let putting: { readonly rows: [number, string, number, Uint8Array][]; readonly done: Promise<void> } | undefined;

  /** Adds a row to this turn's transaction. */
  function put(row: [number, string, number, Uint8Array]): Promise<void> {
    if (putting === undefined) {
      const rows: [number, string, number, Uint8Array][] = [];
      const done = new Promise(setImmediate).then(() => {
        putting = undefined;
        database.transaction(() => {
          const insert = database.statement(
            "insert or ignore into delayed (partition_id, id, due_ms, batch) values (?, ?, ?, ?)",
          );
          for (const one of rows) insert.run(...one);
        });
      });
      putting = { rows, done };
    }
    putting.rows.push(row);
    return putting.done;
  }

  return {
    put: async (partition, id, dueMs, batch) => put([idOf(partition), id, dueMs, batch]),

    async look() {
      const nowMs = clock.nowMs();
      const due = database
        .statement(
          `select topic, partition from partitions where id in (select distinct partition_id from delayed where due_ms <= ? limit ${partitionsMax})`,
        )
        .all(nowMs)
        .map((row) => ({ topic: String(row["topic"]), partition: Number(row["partition"]) }));
      const next = database.statement("select min(due_ms) as next from delayed where due_ms > ?").get(nowMs)?.["next"];
      return { due, nextInMs: typeof next === "bigint" ? Number(next) - nowMs : undefined };
    },

    async due(partition, max) {
      return database
        .statement("select id, batch from delayed where partition_id = ? and due_ms <= ? order by due_ms, id limit ?")
        .all(idOf(partition), clock.nowMs(), max)
        .map((row) => ({ id: String(row["id"]), batch: row["batch"] as Uint8Array }));
    },

    async waiting(partition) {
      const row = database
        .statement("select count(*) as batches, min(due_ms) as next from delayed where partition_id = ?")
        .get(idOf(partition));
      const next = row?.["next"];
      return {
        batches: Number(row?.["batches"] ?? 0),
        nextInMs: typeof next === "bigint" ? Math.max(0, Number(next) - clock.nowMs()) : undefined,
      };
    },

    async remove(partition, ids) {
      const partitionId = idOf(partition);
      database.transaction(() => {
        const drop = database.statement("delete from delayed where partition_id = ? and id = ?");
        for (const id of ids) drop.run(partitionId, id);
      });
    },
  };
}
