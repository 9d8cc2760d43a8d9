/** A work queue under a small byte budget with a slow consumer: the producer is slowed, then refused, then goes on; nothing acknowledged is lost. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Gmq } from "@gmq/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";

const value = "x".repeat(1_000);

describe.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["separate processes, Redis, two brokers", () => startServices({ brokers: 2 })],
])("%s", (_name, start) => {
  let topology: Topology;
  let gmq: Gmq;

  beforeAll(async () => {
    topology = await start();
    gmq = await connect({ brokers: topology.brokers });
  }, 60_000);

  afterAll(async () => {
    await gmq.close();
    await topology.stop();
  });

  /** One record through the unary call, which is answered at once where the producer tries again by itself. */
  async function publishOnce(topic: string): Promise<string> {
    const response = await fetch(`${topology.brokers[0]}/gmq.v1.BrokerService/Publish`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ topic, value: Buffer.from(value).toString("base64"), key: "k" }),
    });
    return response.ok ? "stored" : JSON.stringify(await response.json());
  }

  it("bounds what is kept, refuses by name, and loses nothing", async () => {
    const jobs = `jobs-${randomUUID().slice(0, 8)}`;
    const budget = 200_000;
    await gmq.admin.createTopic(jobs, { partitions: 2, retention: { workQueue: true }, bytesMax: budget });
    const handled = new Map<string, number>();
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const subscription = gmq.subscribe(jobs, { group: jobs, concurrency: 4, orderBy: "none" }, async (message) => {
      await gate;
      const place = `${message.partition}/${message.offset}`;
      handled.set(place, (handled.get(place) ?? 0) + 1);
    });
    const producer = gmq.producer({ batchBytesMax: 5_000 });
    const acknowledged: string[] = [];
    const sends = Array.from({ length: 1_000 }, async (_, n) => {
      const { partition, offset } = await producer.send(jobs, { key: `k${n}`, value }, { timeoutMs: 90_000 });
      acknowledged.push(`${partition}/${offset}`);
    });
    // Nobody settles: it fills up and says so, also to a producer that gave up waiting.
    await expect.poll(() => publishOnce(jobs), { timeout: 20_000 }).toContain("topic_full");
    expect((await gmq.admin.status()).details["topics_full"]).toBe(jobs);
    expect(acknowledged.length).toBeLessThan(1_000);
    await using impatient = gmq.producer();
    await expect(impatient.send(jobs, { value }, { timeoutMs: 500 })).rejects.toMatchObject({
      code: "deadline_exceeded",
      cause: { code: "topic_full" },
    });
    open();
    let most = 0n;
    let sending = true;
    const watching = (async () => {
      while (sending) {
        const { partitionStats } = await gmq.admin.describeTopic(jobs);
        const held = partitionStats.reduce((sum, { bytes }) => sum + bytes, 0n);
        if (held > most) most = held;
        await sleep(100);
      }
    })();
    await Promise.all(sends);
    sending = false;
    await watching;
    expect(most).toBeGreaterThan(0n);
    expect(most).toBeLessThan(BigInt(budget * 2));
    await expect.poll(() => acknowledged.filter((place) => !handled.has(place)).length, { timeout: 60_000 }).toBe(0);
    expect(new Set(acknowledged).size).toBe(1_000);
    await expect
      .poll(async () => (await gmq.admin.describeGroup(jobs)).partitions.map(({ lag, lost }) => [lag, lost]), {
        timeout: 20_000,
      })
      .toEqual([
        [0n, 0n],
        [0n, 0n],
      ]);
    await subscription.drain();
  }, 180_000);

  it("alters, grows and purges a topic that is in use", async () => {
    const orders = `orders-${randomUUID().slice(0, 8)}`;
    const made = await gmq.admin.createTopic(orders, { partitions: 1 });
    const producer = gmq.producer();
    for (let n = 0; n < 5; n++) await producer.send(orders, { value: `${n}` });
    const altered = await gmq.admin.alterTopic(orders, { retention: { ms: 86_400_000 } }, { version: made.version });
    expect(altered.retention).toEqual({ ms: 86_400_000 });
    await expect(gmq.admin.alterTopic(orders, { bytesMax: 5_000 }, { version: made.version })).rejects.toMatchObject({
      code: "conflict",
    });
    expect(await gmq.admin.alterTopic(orders, { bytesMax: 5_000_000 })).toMatchObject({
      retention: { ms: 86_400_000 },
      bytesMax: 5_000_000,
    });
    const seen: string[] = [];
    const subscription = gmq.subscribe(orders, { group: orders }, ({ partition }) => void seen.push(`${partition}`));
    await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(5);
    const planned = await gmq.admin.addPartitions(orders, 3, { dryRun: true });
    expect(planned).toMatchObject({ topic: { partitions: 1 }, warning: expect.stringContaining("modulo 3") });
    expect((await gmq.admin.addPartitions(orders, 3)).topic.partitions).toBe(3);
    await producer.send(orders, { value: "new", partition: 2 });
    await expect.poll(() => seen, { timeout: 20_000 }).toContain("2");
    await subscription.drain();
    const purged = await gmq.admin.purge(orders, { partition: 0, toOffset: 3n });
    expect(purged).toEqual([{ partition: 0, startBefore: 0n, startAfter: 3n, losses: [] }]);
    const { records } = await gmq.admin.browse(orders, { partition: 0 });
    expect(records.map(({ offset }) => offset)).toEqual([3n, 4n]);
  }, 90_000);
});
