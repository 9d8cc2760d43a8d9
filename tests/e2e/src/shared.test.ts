/** Shared mode as users meet it: more consumers than partitions, over two brokers, with slow jobs, failures, and processes that are killed. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Gmq, Reject } from "@gmq/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startProcess, type TestProcess } from "./harness/child-process.js";
import { judge, readJournal, sendLoad } from "./harness/load.js";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";
import { temporaryFolder } from "./harness/workspace.js";

const records = 20_000;

describe.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["separate processes, Redis, two brokers", () => startServices({ brokers: 2 })],
])("%s", (_name, start) => {
  let topology: Topology;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  /** One connected to each broker first. */
  const clients: Gmq[] = [];
  const children: TestProcess[] = [];
  let jobs: string;

  beforeEach(async () => {
    topology = await start();
    folder = await temporaryFolder();
    jobs = `jobs-${randomUUID().slice(0, 8)}`;
    for (const brokers of [topology.brokers, topology.brokers.toReversed()])
      clients.push(await connect({ brokers, timeoutMs: 30_000 }));
    await clients[0]?.admin.createTopic(jobs, { partitions: 1 });
  });

  afterEach(async () => {
    for (const child of children.splice(0)) await child.kill();
    for (const gmq of clients.splice(0)) await gmq.close();
    await topology.stop();
    await folder.remove();
  });

  const client = (index: number): Gmq => clients[index % clients.length] as Gmq;
  it("takes every record of one partition once, while one job is slow and some fail", async () => {
    const handled = new Map<string, number>();
    const busy = new Set<number>();
    let release: () => void = () => undefined;
    const slowJob = new Promise<void>((resolve) => {
      release = resolve;
    });
    const subscriptions = Array.from({ length: 6 }, (_, worker) =>
      client(worker).subscribe(
        jobs,
        { group: "workers", mode: "shared", retry: { backoff: { initialMs: 20, maxMs: 50 } } },
        async (message) => {
          const value = new TextDecoder().decode(message.value);
          busy.add(worker);
          if (value === "7") await slowJob;
          if (value === "13" && message.attempt < 2) throw new Error("not yet");
          if (value === "17") throw new Reject("not a job");
          handled.set(value, (handled.get(value) ?? 0) + 1);
        },
      ),
    );
    for (const subscription of subscriptions) await expect.poll(() => subscription.assignments.length).toBe(1);
    const values = Array.from({ length: 300 }, (_, index) => String(index));
    // As one batch: one slow job must not hold the rest of it.
    await client(0)
      .producer()
      .sendBatch(
        jobs,
        values.map((value) => ({ value })),
      );
    await expect.poll(() => handled.size, { timeout: 30_000 }).toBe(298);
    expect([...handled.keys()].filter((value) => value === "7" || value === "17")).toEqual([]);
    release();
    await expect.poll(() => handled.get("7")).toBe(1);
    expect(new Set(handled.values())).toEqual(new Set([1]));
    expect(busy.size).toBeGreaterThan(1);
    await expect
      .poll(async () => (await client(0).admin.describeGroup("workers")).partitions.map(({ lag }) => lag))
      .toEqual([0n]);
    const { letters } = await client(0).admin.deadLetters(jobs, { group: "workers" });
    expect(letters.map(({ offset }) => offset)).toEqual([17n]);
    for (const subscription of subscriptions) await subscription.drain();
  }, 90_000);

  it("loses nothing when consumers and a broker are killed", async () => {
    const journals = [0, 1, 2].map((index) => join(folder.path, `journal-${index}`));
    const spawn = async (index: number): Promise<TestProcess> => {
      const brokers = index % 2 === 0 ? topology.brokers : topology.brokers.toReversed();
      const child = startProcess({
        name: `worker ${index}`,
        command: process.execPath,
        args: [
          join(import.meta.dirname, "harness/consumer-child.ts"),
          brokers.join(","),
          jobs,
          "workers",
          journals[index] as string,
          "0",
          "shared",
        ],
      });
      children.push(child);
      await child.waitForOutput(/consuming/, 30_000);
      return child;
    };
    const [first] = [await spawn(0), await spawn(1)];
    const load = await sendLoad(client(1), jobs, { count: records, keys: 100 }, async (begun) => {
      if (begun === 6_000) {
        await first.kill();
        await spawn(2);
      }
      if (begun === 12_000) {
        const part = topology.parts.find(({ url }) => url === topology.brokers[0]);
        await part?.kill();
        await sleep(100);
        await part?.restart();
      }
    });
    expect(load.refused).toEqual(new Map());
    const delivered = async () => (await Promise.all(journals.map(readJournal))).flat();
    await expect.poll(async () => judge(load, await delivered()).lost, { timeout: 60_000, interval: 250 }).toBe(0);
    await expect
      .poll(async () => (await client(1).admin.describeGroup("workers")).partitions.map(({ lag }) => lag), {
        timeout: 30_000,
      })
      .toEqual([0n]);
    // What was held at a kill comes again; nothing else does.
    const places = (await delivered()).map(({ place }) => place);
    const again = places.length - new Set(places).size;
    console.log(`${_name}: ${records} records, ${again} delivered again`);
    expect(again).toBeLessThan(2_000);
  }, 150_000);
});
