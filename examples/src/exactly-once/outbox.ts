/** Outbox: what is to be published is written to a table in the transaction that makes it true, and a relay publishes it afterwards, however often either dies. */
import type { DatabaseSync } from "node:sqlite";
import type { Producer } from "@gmq/client";

/** Header that names the row: what an inbox knows a message by. */
export const idHeader = "outbox-id";

interface OutboxRow {
  readonly id: number;
  readonly topic: string;
  readonly key: string;
  readonly value: string;
}

/** Makes the table. `autoincrement`: an id is never given twice, though its row is gone. */
export function createOutbox(db: DatabaseSync): void {
  db.exec(
    "create table if not exists outbox (id integer primary key autoincrement, topic text, key text, value text) strict",
  );
}

/** Call it inside the transaction of what the message tells. */
export function putInOutbox(db: DatabaseSync, topic: string, key: string, value: string): void {
  db.prepare("insert into outbox (topic, key, value) values (?, ?, ?)").run(topic, key, value);
}

/**
 * Publishes the oldest rows and deletes those that are stored; returns how many there were. `source` is the database's name: ids are its own. A row that was stored and
 * not deleted is sent again and stored no second time, as its id is its dedupe id. @throws GmqError what could not be stored stays in the table
 */
export async function relayOutbox(
  db: DatabaseSync,
  producer: Producer,
  source: string,
  stored: (duplicate: boolean) => void,
): Promise<number> {
  const rows = db
    .prepare("select id, topic, key, value from outbox order by id limit 100")
    .all() as unknown as OutboxRow[];
  // Sends keep their order for each key, so they need not wait for each other.
  const answers = await Promise.allSettled(
    rows.map(async ({ id, topic, key, value }) => {
      const dedupeId = `${source}/${id}`;
      const { duplicate } = await producer.send(topic, { key, value, dedupeId, headers: { [idHeader]: dedupeId } });
      stored(duplicate);
      db.prepare("delete from outbox where id = ?").run(id);
    }),
  );
  const failed = answers.find((answer) => answer.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return rows.length;
}
