/** Inbox: the effect of a message and the fact that it was applied are written in one transaction, so that a message that comes again changes nothing. */
import type { DatabaseSync } from "node:sqlite";
import type { Message } from "@gmq/client";
import { idHeader } from "./outbox.ts";

/** Makes the tables. Rows of `inbox` may be deleted when their message cannot come again: when topic, dead letters and outbox have let it go. */
export function createInbox(db: DatabaseSync): void {
  db.exec(`
    create table if not exists inbox (message_id text primary key, applied_at integer) strict;
    create table if not exists owners (topic text, partition integer, epoch integer, primary key (topic, partition)) strict`);
}

/**
 * Applies a message once. False: it was applied before. @throws Error when another consumer has taken the partition over since: a handler that throws it is right, as the
 * message is with the other one
 */
export function applyOnce<Value>(db: DatabaseSync, message: Message<Value>, effect: () => void): boolean {
  const { topic, partition, offset, epoch } = message;
  const id = message.headers[idHeader] ?? `${topic}/${partition}/${offset}`;
  db.exec("begin immediate");
  try {
    // The fencing token: a process that was paused and replaced must not write behind its successor's back.
    const fenced = db
      .prepare(
        `insert into owners (topic, partition, epoch) values (?, ?, ?)
         on conflict do update set epoch = excluded.epoch where excluded.epoch >= epoch`,
      )
      .run(topic, partition, epoch);
    if (fenced.changes === 0) throw new Error(`${topic}/${partition} has another owner`);
    const { changes } = db
      .prepare("insert into inbox (message_id, applied_at) values (?, ?) on conflict do nothing")
      .run(id, Date.now());
    if (changes > 0) effect();
    db.exec("commit");
    return changes > 0;
  } catch (error) {
    db.exec("rollback");
    throw error;
  }
}
