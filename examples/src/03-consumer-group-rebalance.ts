/** Consumers of one group share the partitions. One that joins gets its part, one that leaves passes its part on; no record is lost or handled twice. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Gmq, type Subscription } from "@gmq/client";

const clicks = `example-clicks-${Date.now()}`;
const group = `${clicks}-counters`;
const brokers = (process.env["GMQ_BROKERS"] ?? "http://localhost:50051").split(",");
const gmq = await connect({ brokers });
await gmq.admin.createTopic(clicks, { partitions: 6 });

const handled = new Map<string, number>();
interface Member {
  readonly name: string;
  readonly gmq: Gmq;
  readonly subscription: Subscription;
}

/** A connection of its own, as if it were another process. */
async function join(name: string): Promise<Member> {
  const own = await connect({ brokers, clientId: name });
  const subscription = own.subscribe(clicks, { group, concurrency: 4 }, ({ partition, offset }) => {
    const place = `${partition}/${offset}`;
    handled.set(place, (handled.get(place) ?? 0) + 1);
  });
  return { name, gmq: own, subscription };
}

/** Waits until the members own these many partitions each. */
async function shared(members: readonly Member[], expected: readonly number[]): Promise<void> {
  const deadline = Date.now() + 20_000;
  const counts = (): number[] => members.map(({ subscription }) => subscription.assignments.length);
  while (String(counts()) !== String(expected)) {
    assert.ok(Date.now() < deadline, `partitions are shared ${counts().join(" + ")}, not ${expected.join(" + ")}`);
    await sleep(20);
  }
  for (const { name, subscription } of members) {
    const own = subscription.assignments.map(({ partition }) => partition).toSorted((left, right) => left - right);
    console.log(`  ${name}: ${own.join(" ")}`);
  }
}

const producer = gmq.producer();
let sent = 0;
async function send(count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () => producer.send(clicks, { key: `user-${sent++ % 50}`, value: "" })),
  );
}

console.log("one consumer owns everything:");
const first = await join("first");
await shared([first], [6]);
await send(300);

console.log("two more join:");
const second = await join("second");
const third = await join("third");
await shared([first, second, third], [2, 2, 2]);
await send(300);

console.log("the first leaves:");
await first.subscription.drain();
await first.gmq.close();
await shared([second, third], [3, 3]);
await send(300);

const deadline = Date.now() + 20_000;
while (handled.size < sent && Date.now() < deadline) await sleep(20);
console.log(`${sent} sent, ${handled.size} handled`);
assert.equal(handled.size, sent, "every record was handled");
assert.ok(
  [...handled.values()].every((times) => times === 1),
  "none was handled twice",
);

await second.gmq.close();
await third.gmq.close();
await gmq.admin.deleteGroup(group);
await gmq.admin.deleteTopic(clicks);
await gmq.close();
