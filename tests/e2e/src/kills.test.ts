/** kill -9 in the middle of 100,000 records: afterwards everything acknowledged was delivered, in order per key, and nothing was stored twice. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { connect, type Gmq } from "@gmq/client";
import { afterEach, describe, expect, it } from "vitest";
import { startProcess, type TestProcess } from "./harness/child-process.js";
import { judge, type Load, readJournal, sendLoad } from "./harness/load.js";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";
import { waitUntil } from "./harness/wait-until.js";
import { temporaryFolder } from "./harness/workspace.js";

const records = 100_000;
const keys = 500;
const timeoutMs = 120_000;

let topology: Topology;
let gmq: Gmq;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
const consumers: TestProcess[] = [];

afterEach(async () => {
  for (const consumer of consumers.splice(0)) await consumer.kill();
  await gmq.close();
  await topology.stop();
  await folder.remove();
});

async function prepare(start: () => Promise<Topology>): Promise<{ topic: string; journal: string }> {
  topology = await start();
  folder = await temporaryFolder();
  gmq = await connect({ brokers: topology.brokers, timeoutMs: 30_000 });
  return { topic: `load-${randomUUID().slice(0, 8)}`, journal: join(folder.path, "journal") };
}

async function consume(topic: string, journal: string): Promise<TestProcess> {
  const consumer = startProcess({
    name: "consumer",
    command: process.execPath,
    args: [join(import.meta.dirname, "harness/consumer-child.ts"), topology.brokers.join(","), topic, "g", journal],
  });
  consumers.push(consumer);
  await consumer.waitForOutput(/consuming/, 30_000);
  return consumer;
}

/** Runs the load; calls each act when so many records were begun. */
function loadWith(topic: string, acts: Readonly<Record<number, () => Promise<unknown>>>): Promise<Load> {
  return sendLoad(gmq, topic, { count: records, keys }, async (begun) => {
    await acts[begun]?.();
  });
}

async function expectKept(load: Load, journal: string): Promise<void> {
  await waitUntil(
    "everything acknowledged to be delivered",
    async () => judge(load, await readJournal(journal)).lost === 0,
    60_000,
  ).catch(() => undefined); // told with all numbers below
  expect(judge(load, await readJournal(journal))).toEqual({ lost: 0, reordered: 0, collided: 0, doubled: 0 });
  expect(Object.fromEntries(load.refused)).toEqual({});
  expect(load.acknowledged.length).toBe(records);
}

describe("kill -9", () => {
  it.each([
    ["standalone, embedded engine", startStandalone],
    ["separate processes, Redis", () => startServices()],
  ])(
    "of a consumer: %s",
    async (_name, start) => {
      const { topic, journal } = await prepare(start);
      const [first] = [await consume(topic, journal), await consume(topic, journal)];
      const load = await loadWith(topic, {
        30000: () => first.kill(),
        60000: () => consume(topic, journal),
      });
      await expectKept(load, journal);
    },
    timeoutMs,
  );

  it(
    "of everything at once: standalone, embedded engine",
    async () => {
      const { topic, journal } = await prepare(startStandalone);
      await consume(topic, journal);
      const load = await loadWith(topic, {
        40000: async () => {
          await topology.part("standalone").kill();
          await topology.part("standalone").restart();
        },
      });
      await expectKept(load, journal);
    },
    timeoutMs,
  );

  it(
    "of a broker",
    async () => {
      const { topic, journal } = await prepare(() => startServices({ brokers: 2 }));
      await consume(topic, journal);
      const load = await loadWith(topic, {
        30000: () => topology.part("broker 1").kill(),
        60000: async () => {
          await topology.part("broker 1").restart();
          await topology.part("broker 2").kill();
        },
      });
      await expectKept(load, journal);
    },
    timeoutMs,
  );

  it(
    "of the storage service",
    async () => {
      const { topic, journal } = await prepare(() => startServices());
      await consume(topic, journal);
      const load = await loadWith(topic, {
        40000: async () => {
          await topology.part("storage").kill();
          await topology.part("storage").restart();
        },
      });
      await expectKept(load, journal);
    },
    timeoutMs,
  );

  it(
    "of Redis, which writes every append to disk",
    async () => {
      const { topic, journal } = await prepare(() => startServices({ redis: { appendonly: "always" } }));
      await consume(topic, journal);
      const load = await loadWith(topic, {
        40000: async () => {
          await topology.redis?.kill();
          await topology.redis?.restart();
        },
      });
      await expectKept(load, journal);
    },
    timeoutMs,
  );
});
