/** kill -9 in the middle of 100,000 records: afterwards everything acknowledged was delivered, in order per key, and nothing was stored twice. */
import { describe, expect, it } from "vitest";
import { expectKept, useJournalledLoad } from "./harness/journalled-load.js";
import { type Load, sendLoad } from "./harness/load.js";
import { startServices, startStandalone } from "./harness/topologies.js";

const records = 100_000;
const keys = 500;
const timeoutMs = 120_000;

const test = useJournalledLoad();

/** Runs the load; calls each act when so many records were begun. */
function loadWith(topic: string, acts: Readonly<Record<number, () => Promise<unknown>>>): Promise<Load> {
  return sendLoad(test.gmq, topic, { count: records, keys }, async (begun) => {
    await acts[begun]?.();
  });
}

async function expectAllKept(load: Load, journal: string): Promise<void> {
  await expectKept(load, journal);
  expect(load.acknowledged.length).toBe(records);
}

describe("kill -9", () => {
  it.each([
    ["standalone, embedded engine", startStandalone],
    ["separate processes, Redis", () => startServices()],
  ])(
    "of a consumer: %s",
    async (_name, start) => {
      const to = await test.prepare(start);
      const [first] = [await test.consume(to), await test.consume(to)];
      const load = await loadWith(to.topic, {
        30000: () => first.kill(),
        60000: () => test.consume(to),
      });
      await expectAllKept(load, to.journal);
    },
    timeoutMs,
  );

  it(
    "of everything at once: standalone, embedded engine",
    async () => {
      const to = await test.prepare(startStandalone);
      await test.consume(to);
      const load = await loadWith(to.topic, {
        40000: async () => {
          await test.topology.part("standalone").kill();
          await test.topology.part("standalone").restart();
        },
      });
      await expectAllKept(load, to.journal);
    },
    timeoutMs,
  );

  it(
    "of a broker",
    async () => {
      const to = await test.prepare(() => startServices({ brokers: 2 }));
      await test.consume(to);
      const load = await loadWith(to.topic, {
        30000: () => test.topology.part("broker 1").kill(),
        60000: async () => {
          await test.topology.part("broker 1").restart();
          await test.topology.part("broker 2").kill();
        },
      });
      await expectAllKept(load, to.journal);
    },
    timeoutMs,
  );

  it(
    "of the storage service",
    async () => {
      const to = await test.prepare(() => startServices());
      await test.consume(to);
      const load = await loadWith(to.topic, {
        40000: async () => {
          await test.topology.part("storage").kill();
          await test.topology.part("storage").restart();
        },
      });
      await expectAllKept(load, to.journal);
    },
    timeoutMs,
  );

  it(
    "of Redis, which writes every append to disk",
    async () => {
      const to = await test.prepare(() => startServices({ redis: { appendonly: "always" } }));
      await test.consume(to);
      const load = await loadWith(to.topic, {
        40000: async () => {
          await test.topology.redis?.kill();
          await test.topology.redis?.restart();
        },
      });
      await expectAllKept(load, to.journal);
    },
    timeoutMs,
  );
});
