/** The producing service: takes orders and tells of them. Arguments: database, topic, number of orders, after how many stored messages it dies (0: never). */
import { DatabaseSync } from "node:sqlite";
import { connect } from "@gmq/client";
import { createOutbox, putInOutbox, relayOutbox } from "./outbox.ts";

const [file = "", topic = "", count = "0", dieAfter = "0"] = process.argv.slice(2);
const db = new DatabaseSync(file);
db.exec(
  "pragma journal_mode = wal; create table if not exists orders (id integer primary key, user text, cents integer) strict",
);
createOutbox(db);
const gmq = await connect({ brokers: (process.env["GMQ_BROKERS"] ?? "http://localhost:50051").split(",") });
const producer = gmq.producer();

function takeOrder(id: number): void {
  const [user, cents] = [`user-${id % 10}`, 100 + id];
  db.exec("begin immediate");
  db.prepare("insert into orders (id, user, cents) values (?, ?, ?)").run(id, user, cents);
  putInOutbox(db, topic, user, JSON.stringify({ id, cents }));
  db.exec("commit");
}

const { next } = db.prepare("select count(*) as next from orders").get() as { next: number };
for (let id = next; id < Number(count); id++) takeOrder(id);

let storedCount = 0;
let duplicates = 0;
function stored(duplicate: boolean): void {
  if (duplicate) duplicates++;
  // Stored, and not yet deleted from the outbox: the worst moment.
  if (++storedCount === Number(dieAfter)) process.kill(process.pid, "SIGKILL");
}
while ((await relayOutbox(db, producer, "shop", stored)) > 0);
console.log(`  shop: ${duplicates} messages had been stored before`);
await gmq.close();
db.close();
