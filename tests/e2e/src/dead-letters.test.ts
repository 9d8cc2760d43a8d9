/** Poison records end exactly once in the dead-letter topic, whoever is killed meanwhile; the others are not touched; redrive brings them back once. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { deadLetterTopic } from "@gmq/client";
import { describe, expect, it } from "vitest";
import { type JournalledTopic, useJournalledLoad } from "./harness/journalled-load.js";
import { judge, type Load, readJournal, sendLoad } from "./harness/load.js";
import { startServices, startStandalone } from "./harness/topologies.js";
import { waitUntil } from "./harness/wait-until.js";

const records = 10_000;
const keys = 200;
const group = "g";
const timeoutMs = 180_000;

const test = useJournalledLoad();

/** `partition/offset` of the origin of everything in the dead-letter topic, in its order. */
async function deadLetters(topic: string, expected: number): Promise<string[]> {
  const found: string[] = [];
  await using consumer = test.gmq.consumer(deadLetterTopic(topic, group), { group: `check-${randomUUID()}` });
  // Past the expected number it waits for more: a double would come, too.
  for (;;) {
    const batch = await consumer.receive({ timeoutMs: found.length < expected ? 10_000 : 1_000, max: 5_000 });
    if (batch === null) return found;
    for (const { headers } of batch.messages)
      found.push(`${headers["gmq-dlq-partition"]}/${headers["gmq-dlq-offset"]}`);
    await batch.ack();
  }
}

async function lag(topic: string): Promise<bigint> {
  const { partitions } = await test.gmq.admin.describeGroup(group);
  return partitions.filter((item) => item.topic === topic).reduce((sum, item) => sum + item.lag, 0n);
}

async function expectOnceEach({ topic, journal }: JournalledTopic, load: Load, poisonEvery: number): Promise<void> {
  await waitUntil("the group to be through", async () => (await lag(topic)) === 0n, 90_000);
  const isPoison = ({ sequence }: { readonly sequence: number }): boolean => sequence % poisonEvery === 0;
  const poison = load.acknowledged.filter(isPoison);
  const sound = { ...load, acknowledged: load.acknowledged.filter((record) => !isPoison(record)) };
  expect(judge(sound, await readJournal(journal))).toEqual({ lost: 0, reordered: 0, collided: 0, doubled: 0 });
  expect((await readJournal(journal)).filter(isPoison)).toEqual([]);
  const places = poison.map(({ partition, offset }) => `${partition}/${offset}`);
  expect((await deadLetters(topic, places.length)).toSorted()).toEqual(places.toSorted());
}

async function expectRedrivenOnce(
  { topic, journal }: JournalledTopic,
  count: number,
  poisonEvery: number,
): Promise<void> {
  const result = await test.gmq.admin.redrive(topic, { group });
  expect(result).toEqual({ matched: count, redriven: count, skipped: 0, failed: 0, failures: [] });
  await waitUntil("the redriven records to be through", async () => (await lag(topic)) === 0n, 60_000);
  const back = (await readJournal(journal)).filter(({ sequence }) => sequence % poisonEvery === 0);
  expect(back).toHaveLength(count);
  expect(new Set(back.map(({ sequence }) => sequence)).size).toBe(count);
  expect((await test.gmq.admin.deadLetterQueues()).find((queue) => queue.topic === topic)?.open).toBe(0n);
}

describe("poison records", () => {
  it.each([
    ["standalone, embedded engine", () => startStandalone()],
    ["separate processes, Redis", () => startServices()],
  ])(
    "end once in the dead-letter topic and come back once: %s",
    async (_name, start) => {
      const poisonEvery = 250;
      const to = await test.prepare(start);
      await test.consume(to, poisonEvery);
      const load = await sendLoad(test.gmq, to.topic, { count: records, keys });
      expect(load.acknowledged).toHaveLength(records);
      await expectOnceEach(to, load, poisonEvery);
      await expectRedrivenOnce(to, records / poisonEvery, poisonEvery);
    },
    timeoutMs,
  );
});

describe("kill -9 while records are rejected", () => {
  /** Kills and starts a part again, at random moments, until the load is sent and a while longer. */
  async function killAgainAndAgain(part: string, times: number): Promise<void> {
    for (let kill = 0; kill < times; kill++) {
      await sleep(150 + Math.random() * 350);
      await test.topology.part(part).kill();
      await test.topology.part(part).restart();
    }
  }

  it.each([
    ["storage: separate processes, Redis", () => startServices(), "storage"],
    ["everything: standalone, embedded engine", () => startStandalone(), "standalone"],
    ["a broker: separate processes, Redis", () => startServices({ brokers: 2 }), "broker 1"],
  ])(
    "of %s",
    async (_name, start, part) => {
      const poisonEvery = 4;
      const to = await test.prepare(start);
      await test.consume(to, poisonEvery);
      const killing = killAgainAndAgain(part, 6);
      // Spread over the kills, so that each finds rejects under way.
      const load = await sendLoad(test.gmq, to.topic, { count: records, keys, perTurn: 50 }, () => sleep(15));
      await killing;
      expect(Object.fromEntries(load.refused)).toEqual({});
      await expectOnceEach(to, load, poisonEvery);
    },
    timeoutMs,
  );

  it(
    "of the consumer: standalone, embedded engine",
    async () => {
      const poisonEvery = 4;
      const to = await test.prepare(() => startStandalone());
      let consumer = await test.consume(to, poisonEvery);
      const killing = (async () => {
        for (let kill = 0; kill < 4; kill++) {
          await sleep(300 + Math.random() * 500);
          await consumer.kill();
          consumer = await test.consume(to, poisonEvery);
        }
      })();
      const load = await sendLoad(test.gmq, to.topic, { count: records, keys, perTurn: 50 }, () => sleep(15));
      await killing;
      await expectOnceEach(to, load, poisonEvery);
      await expectRedrivenOnce(to, records / poisonEvery, poisonEvery);
    },
    timeoutMs,
  );
});
