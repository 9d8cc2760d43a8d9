/** The consuming service: adds up what users owe. Arguments: database, topic, group, number of orders, after how many applied messages it dies (0: never). */
import { DatabaseSync } from "node:sqlite";
import { connect, topic } from "@gmq/client";
import { applyOnce, createInbox } from "./inbox.ts";

const [file = "", topicName = "", group = "", count = "0", dieAfter = "0"] = process.argv.slice(2);
const db = new DatabaseSync(file);
db.exec(
  "pragma journal_mode = wal; create table if not exists balances (user text primary key, cents integer, orders integer) strict",
);
createInbox(db);
const gmq = await connect({ brokers: (process.env["GMQ_BROKERS"] ?? "http://localhost:50051").split(",") });

let applied = 0;
let again = 0;
const { total } = db.prepare("select coalesce(sum(orders), 0) as total from balances").get() as { total: number };
const done = Promise.withResolvers<void>();
const subscription = gmq.subscribe(topic(topicName), { group, concurrency: 4 }, (message) => {
  const { cents } = JSON.parse(new TextDecoder().decode(message.value)) as { cents: number };
  const isNew = applyOnce(db, message, () => {
    db.prepare(
      `insert into balances (user, cents, orders) values (?, ?, 1)
       on conflict do update set cents = cents + excluded.cents, orders = orders + 1`,
    ).run(message.key ?? "", cents);
  });
  if (!isNew) again++;
  // Applied, and not yet acked: the worst moment.
  else if (++applied === Number(dieAfter)) process.kill(process.pid, "SIGKILL");
  if (total + applied === Number(count)) done.resolve();
});
await Promise.race([done.promise, subscription.closed]);
console.log(`  ledger: ${again} messages came again`);
await subscription.drain();
await gmq.close();
db.close();
