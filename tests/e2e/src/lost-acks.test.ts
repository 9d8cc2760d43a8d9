/**
 * What an asynchronous fail-over does to acknowledgements, done by hand to a real Redis: it gets back what a partition was before the acks, and every connection is
 * cut. What it does not remember comes again to the same owner, and no lag stays.
 */
import { connect, type Gmq, type Message } from "@gmq/client";
import { Redis } from "ioredis";
import { afterEach, expect, it } from "vitest";
import { startServices, type Topology } from "./harness/topologies.js";

let topology: Topology | undefined;
let gmq: Gmq | undefined;
let control: Redis | undefined;

afterEach(async () => {
  await gmq?.close();
  control?.disconnect();
  await topology?.stop();
});

it.each(["exclusive", "shared"] as const)(
  "acks that Redis forgot come again to the owner, whole entries and parts of one: %s",
  async (mode) => {
    topology = await startServices({ redis: {} });
    control = new Redis(topology.redis?.url as string);
    gmq = await connect({ brokers: topology.brokers, timeoutMs: 30_000 });
    await gmq.admin.createTopic("t", { partitions: 1 });
    const held: Message<Uint8Array>[] = [];
    const consumer = gmq.consumer("t", { group: "g", mode });
    let over = false;
    const reading = (async () => {
      while (!over) held.push(...((await consumer.receive({ timeoutMs: 200 }))?.messages ?? []));
    })();
    const producer = gmq.producer();
    for (const values of [
      ["a0", "a1"],
      ["b0", "b1", "b2"],
      ["c0", "c1", "c2"],
    ]) {
      await producer.sendBatch(
        "t",
        values.map((value) => ({ value })),
      );
    }
    await expect.poll(() => held.length).toBe(8);
    const settle = async (values: readonly string[]): Promise<void> => {
      await Promise.all(held.filter((message) => values.includes(textOf(message))).map((message) => message.ack()));
    };

    await settle(["b0"]);
    const forget = await remember(control);
    await settle(["a0", "a1", "b1", "c0", "c1"]);
    const before = held.splice(0);
    await forget();

    await expect.poll(() => held.map(textOf)).toEqual(["a0", "a1", "b1", "c0", "c1"]);
    await settle(["a0", "a1", "b1", "c0", "c1"]);
    await producer.send("t", { value: "d0" });
    await expect.poll(() => held.map(textOf).at(-1)).toBe("d0");
    await settle(["d0"]);
    // These were with the consumer all the time, and are neither given twice nor forgotten.
    expect((await gmq.admin.describeGroup("g")).partitions.map(({ lag }) => lag)).toEqual([2n]);
    await Promise.all(
      before.filter((message) => ["b2", "c2"].includes(textOf(message))).map((message) => message.ack()),
    );
    expect((await gmq.admin.describeGroup("g")).partitions.map(({ lag }) => lag)).toEqual([0n]);
    over = true;
    await reading;
    await consumer.close();
  },
  90_000,
);

function textOf(message: Message<Uint8Array>): string {
  return new TextDecoder().decode(message.value);
}

/** Keeps what the partition is now; the returned function brings it back and cuts every connection, as a replica that was behind does. */
async function remember(redis: Redis): Promise<() => Promise<void>> {
  const keys = (await redis.keys("gmq:{t/0}:*")).map((key) => Buffer.from(key));
  const values = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
  return async () => {
    const restore = redis.multi();
    for (const key of await redis.keysBuffer("gmq:{t/0}:*")) restore.del(key);
    keys.forEach((key, at) => restore.restore(key, 0, values[at] as Buffer));
    await restore.exec();
    await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    await redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  };
}
