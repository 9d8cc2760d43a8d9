/** Consume with a handler. Its promise is the answer: resolve is ack, throw is retry, in place and in order for its key. */
import assert from "node:assert/strict";
import { connect, topic } from "@gmq/client";

const payments = topic(`example-payments-${Date.now()}`);
const group = `${payments.name}-ledger`;
const gmq = await connect({ brokers: (process.env["GMQ_BROKERS"] ?? "http://localhost:50051").split(",") });

const producer = gmq.producer();
for (const [key, value] of [
  ["anna", "pay 10"],
  ["anna", "pay 20"],
  ["bert", "pay 30"],
] as const) {
  await producer.send(payments, { key, value });
}

const text = new TextDecoder();
const log: string[] = [];
const allHandled = Promise.withResolvers<void>();
const subscription = gmq.subscribe(
  payments,
  { group, concurrency: 8, retry: { backoff: { initialMs: 50, maxMs: 1_000 } } },
  async ({ key, value, attempt, offset, partition }) => {
    const line = `${key}: ${text.decode(value)}`;
    console.log(`${line} (partition ${partition}, offset ${offset}, attempt ${attempt})`);
    // The bank is down once. Anna's next payment waits for this one; Bert's does not.
    if (line === "anna: pay 10" && attempt === 1) throw new Error("the bank does not answer");
    log.push(line);
    if (log.length === 3) allHandled.resolve();
  },
);

await allHandled.promise;
// Lets handlers finish and their acks arrive, then leaves the group.
await subscription.drain({ timeoutMs: 10_000 });

assert.ok(log.indexOf("anna: pay 10") < log.indexOf("anna: pay 20"), "a retry keeps the order of its key");
const { partitions } = await gmq.admin.describeGroup(group);
const lag = partitions.reduce((sum, partition) => sum + partition.lag, 0n);
console.log(`handled ${log.length} payments, lag of the group: ${lag}`);
assert.equal(lag, 0n, "everything is acked");

await gmq.admin.deleteGroup(group);
await gmq.admin.deleteTopic(payments.name);
await gmq.close();
