/**
 * Exactly once, end to end, over at-least-once delivery: an outbox on the producing side, an inbox on the consuming side, each in the transaction of its own SQL database.
 * Both services are killed at their worst moments, twice, and the sums are right to the cent. What it rests on: docs/exactly-once.md.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { connect } from "@gmq/client";

const count = 300;
const orders = `example-orders-${Date.now()}`;
const group = `${orders}-ledger`;
const gmq = await connect({ brokers: (process.env["GMQ_BROKERS"] ?? "http://localhost:50051").split(",") });
await gmq.admin.createTopic(orders, { partitions: 2 });
const folder = await mkdtemp(join(tmpdir(), "gmq-example-"));

/** Runs a service; true when it was killed. */
async function wasKilled(service: string, ...args: readonly (string | number)[]): Promise<boolean> {
  const file = join(import.meta.dirname, "exactly-once", service);
  const command = ["--disable-warning=ExperimentalWarning", file, ...args.map(String)];
  const [code, signal] = await once(spawn(process.execPath, command, { stdio: "inherit" }), "exit");
  assert.ok(code === 0 || signal === "SIGKILL", `${service} ended with ${code}`);
  return signal === "SIGKILL";
}

try {
  const [shop, ledger] = [join(folder, "shop.db"), join(folder, "ledger.db")];
  for (const dieAfter of [40, 90, 0]) {
    console.log(dieAfter === 0 ? "both run to the end:" : `both die after ${dieAfter} messages:`);
    assert.equal(await wasKilled("shop.ts", shop, orders, count, dieAfter), dieAfter > 0);
    assert.equal(await wasKilled("ledger.ts", ledger, orders, group, count, dieAfter), dieAfter > 0);
  }

  const taken = new DatabaseSync(shop, { readOnly: true });
  const booked = new DatabaseSync(ledger, { readOnly: true });
  const expected = taken
    .prepare("select user, sum(cents) as cents, count(*) as orders from orders group by user order by user")
    .all();
  assert.deepEqual(booked.prepare("select user, cents, orders from balances order by user").all(), expected);
  const { partitions } = await gmq.admin.describeGroup(group);
  const stored = partitions.reduce((sum, { endOffset }) => sum + endOffset, 0n);
  assert.equal(stored, BigInt(count), "what was sent again is stored once");
  console.log(`${count} orders, ${stored} messages, every balance right`);
  taken.close();
  booked.close();
} finally {
  await rm(folder, { recursive: true });
}
await gmq.admin.deleteGroup(group);
await gmq.admin.deleteTopic(orders);
await gmq.close();
