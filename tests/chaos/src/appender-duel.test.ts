/**
 * The appender's two rules, under two storage processes that fight for one partition: one append in flight, and after a lost connection the tail is read again.
 * Their brokers send every batch to both, in turns, with retries under the same number, while connections break in the middle of answers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { waitUntil } from "@gmq/e2e/harness/wait-until";
import {
  batchChecksum,
  codecNumbers,
  createBatchEncoder,
  decodeEntryMeta,
  decodeRecords,
  GmqError,
} from "@gmq/protocol";
import type { AppendOutcome, Engine, LogBatch } from "@gmq/storage";
import { createRemoteEngine } from "@gmq/storage/remote";
import { afterEach, expect, test } from "vitest";
import { createChance } from "./faults/random.ts";
import { startWorld, type World } from "./world/world.ts";

const topic = "duel";
const seed = 20_260;
const producers = 6;
const batchesEach = 100;
/** The cuts have to hit an append: where they did not, it goes on. */
const batchesEachMax = 1_000;
let world: World;
const engines: Engine[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
  await world.stop();
});

/** A batch of three records `<producer>.<number>`. */
function batchOf(producer: number, index: number): LogBatch {
  const encoder = createBatchEncoder();
  for (let at = 0; at < 3; at++)
    encoder.add({ value: new TextEncoder().encode(`${producer}.${index * 3 + at}`), timestampMs: 1 });
  const records = encoder.take();
  return {
    recordCount: 3,
    codec: codecNumbers.none,
    crc32: batchChecksum(records),
    producerId: BigInt(producer + 1),
    producerEpoch: 0,
    firstSequence: BigInt(index * 3),
    uncompressedBytes: records.length,
    records,
  };
}

/** Appends one batch, by one way and then the other, until it is told to be stored. */
async function append(
  batch: LogBatch,
  ways: readonly Engine[],
  from: number,
): Promise<{ first: bigint; ways: number }> {
  for (let way = from; way < from + 400; way++) {
    const engine = ways[way % ways.length] as Engine;
    const [[outcome]] = (await engine.log.append([{ topic, partition: 0, batches: [batch] }])) as [[AppendOutcome]];
    if (outcome.ok) return { first: outcome.firstOffset, ways: way - from + 1 };
    if (!outcome.error.retryable && outcome.error.code !== "unknown_outcome") throw outcome.error;
    await sleep(20);
  }
  throw new GmqError("deadline_exceeded", "a batch found no way");
}

test("two storage processes fight for one partition: every batch once, in order, where it was said to be", async () => {
  world = await startWorld({ store: "redis always" });
  const ways = world.storagesDirect.map((url, at) => createRemoteEngine({ urls: [url], brokerId: `duel-${at + 1}` }));
  engines.push(...ways);
  for (const engine of ways) await waitUntil("a storage link", async () => (await engine.status()).ready);
  await ways[0]?.topics.create(topic, { partitions: 1 });
  await waitUntil("the other to know the topic", async () => (await ways[1]?.topics.get(topic)) !== undefined);

  const chance = createChance(seed);
  let done = false;
  let cuts = 0;
  const breaking = (async () => {
    while (!done) {
      const path = chance.pick(world.proxies.storageToRedis);
      // Either in the middle of an answer, or with the answer held back until the connection is gone.
      if (chance.next() < 0.5) path.cutAfterAnswerBytes(chance.integer(1, 400));
      else {
        path.set({ mode: "hold answers" });
        await sleep(chance.integer(5, 60));
        path.cut();
        path.set({ mode: "pass" });
      }
      cuts++;
      await sleep(chance.integer(20, 150));
    }
  })();

  const places = new Map<string, bigint>();
  let retried = 0;
  await Promise.all(
    Array.from({ length: producers }, async (_, producer) => {
      for (let index = 0; index < batchesEach || (retried === 0 && index < batchesEachMax); index++) {
        const { first, ways: tries } = await append(batchOf(producer, index), ways, chance.integer(0, 1));
        if (tries > 1) retried++;
        for (let at = 0; at < 3; at++) places.set(`${producer}.${index * 3 + at}`, first + BigInt(at));
      }
    }),
  );
  done = true;
  await breaking;

  const found = new Map<string, bigint[]>();
  const lastOf = new Map<string, number>();
  let next = 0n;
  for (;;) {
    const { entries, endOffset } = await readFrom(ways[0] as Engine, next);
    for (const { baseOffset, meta, body } of entries) {
      expect(baseOffset).toBe(next);
      let at = 0;
      for (const { bodyBytes } of decodeEntryMeta(meta).batches) {
        for (const { value } of decodeRecords(body.subarray(at, at + bodyBytes))) {
          const name = new TextDecoder().decode(value);
          const [producer = "", number] = name.split(".");
          expect(Number(number)).toBe((lastOf.get(producer) ?? -1) + 1);
          lastOf.set(producer, Number(number));
          found.set(name, [...(found.get(name) ?? []), next++]);
        }
        at += bodyBytes;
      }
    }
    if (next >= endOffset) break;
  }
  console.log(`${places.size} records, ${cuts} cuts, ${retried} batches sent more than once`);
  expect(cuts).toBeGreaterThan(10);
  expect(retried).toBeGreaterThan(0);
  expect(found).toEqual(new Map(Array.from(places, ([name, offset]) => [name, [offset]])));
}, 120_000);

async function readFrom(engine: Engine, offset: bigint) {
  return await waitUntil("a read", () =>
    engine.log.read({ topic, partition: 0, from: { offset }, entriesMax: 500, bytesMax: 1_000_000 }),
  );
}
