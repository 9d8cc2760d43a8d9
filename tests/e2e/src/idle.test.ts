/** Many consumers that wait cost nothing: no polling, and a record reaches the one that it is for at once. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Gmq } from "@gmq/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServices, type Topology } from "./harness/topologies.js";

const consumers = 1_000;
const connections = 20;
let topology: Topology;
const clients: Gmq[] = [];

beforeAll(async () => {
  topology = await startServices({ brokerArgs: ["--partitions", "1"] });
  for (let index = 0; index < connections; index++) clients.push(await connect({ brokers: topology.brokers }));
}, 60_000);

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await topology.stop();
});

test(`${consumers} idle consumers`, async () => {
  const prefix = `idle-${randomUUID().slice(0, 6)}`;
  const arrived = new Map<number, number>();
  let assigned = 0;
  const subscriptions = Array.from({ length: consumers }, (_, index) => {
    const subscription = (clients[index % connections] as Gmq).subscribe(
      `${prefix}-${index}`,
      { group: `${prefix}-g${index}`, sessionTimeoutMs: 60_000 },
      () => void arrived.set(index, performance.now()),
    );
    void (async () => {
      for await (const event of subscription.status()) if (event.type === "assigned") assigned++;
    })();
    return subscription;
  });
  await expect.poll(() => assigned, { timeout: 90_000, interval: 100 }).toBe(consumers);

  // What the joins left behind (answers, garbage) is no part of idling.
  await sleep(2_000);
  const { pid } = topology.part("broker 1").process;
  const before = await cpuMs(pid);
  const idleMs = 3_000;
  await sleep(idleMs);
  const used = (await cpuMs(pid)) - before;

  const producer = (clients[0] as Gmq).producer();
  await producer.send(`${prefix}-0`, { value: "warm" });
  const latencies: number[] = [];
  for (let index = 1; index <= 200; index++) {
    const sentMs = performance.now();
    await producer.send(`${prefix}-${index}`, { value: "x" });
    await expect.poll(() => arrived.has(index), { interval: 1, timeout: 5_000 }).toBe(true);
    latencies.push((arrived.get(index) as number) - sentMs);
  }
  latencies.sort((left, right) => left - right);
  // Told, not judged: times belong into the benchmark. What is judged is far from what polling would show.
  console.log(
    `${consumers} idle consumers: broker ${((used / idleMs) * 100).toFixed(1)} % of a core; publish to handler p50 ${latencies[100]?.toFixed(1)} ms, p99 ${latencies[197]?.toFixed(1)} ms`,
  );
  expect(used / idleMs).toBeLessThan(0.15);
  expect(latencies[100]).toBeLessThan(250);
  await Promise.all(subscriptions.map((subscription) => subscription.close()));
}, 180_000);

/** User and system time of a process. Source: proc(5), /proc/<pid>/stat, in ticks of 10 ms. */
async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
