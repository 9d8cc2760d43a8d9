/** A Sentinel trio over a master and a replica: the conformance suite through it, and a fail-over in the middle of traffic. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { batchOf } from "../src/conformance/batches.js";
import { type ConformanceTarget, defineConformance } from "../src/conformance.js";
import { createRedisEngine } from "../src/redis.js";
import { type OwnSentinels, startOwnSentinels } from "./redis-sentinels.js";

let trio: OwnSentinels;
beforeAll(async () => {
  trio = await startOwnSentinels();
}, 90_000);
afterAll(async () => {
  await trio?.stop();
});

const engineAt = (prefix: string) =>
  createRedisEngine({ redis: { sentinels: [...trio.nodes], name: trio.masterName }, prefix });

const target: ConformanceTarget = {
  name: "redis, found by sentinels",
  async makeStore() {
    const prefix = `s-${randomUUID().slice(0, 8)}`;
    return { open: () => engineAt(prefix), keepsRecords: true, dispose: async () => undefined };
  },
};
defineConformance(target, { describe, it, beforeAll, afterAll });

it("goes on at the new master when the old one dies in the middle of traffic", async () => {
  const engine = await engineAt(`f-${randomUUID().slice(0, 8)}`);
  try {
    await expect.poll(async () => (await engine.status()).ready).toBe(true);
    await engine.topics.create("t", { partitions: 1 });
    const acked: { readonly offset: bigint; readonly atMs: number }[] = [];
    let killedMs = Number.POSITIVE_INFINITY;
    for (let sequence = 0; performance.now() < killedMs + 8_000; sequence++) {
      const batch = batchOf([`v${sequence}`], { producerId: 9n, producerEpoch: 0, firstSequence: BigInt(sequence) });
      for (;;) {
        const [outcomes] = await engine.log.append([{ topic: "t", partition: 0, batches: [batch] }]);
        const outcome = outcomes?.[0];
        if (outcome?.ok === true) {
          acked.push({ offset: outcome.firstOffset, atMs: performance.now() });
          break;
        }
        if (outcome?.error.retryable !== true) throw outcome?.error ?? new Error("no outcome");
        await sleep(20);
      }
      if (sequence === 500) {
        await trio.servers[0]?.kill();
        killedMs = performance.now();
      }
      await sleep(1);
    }
    const offsets = acked.map(({ offset }) => offset);
    expect(new Set(offsets).size).toBe(offsets.length);
    expect(offsets).toEqual([...offsets].sort((one, other) => Number(one - other)));
    expect(acked.at(-1)?.atMs).toBeGreaterThan(killedMs + 3_000);
    const { entries } = await engine.log.read({
      topic: "t",
      partition: 0,
      from: "earliest",
      entriesMax: 100_000,
      bytesMax: 1 << 24,
    });
    const stored = new Set(entries.map(({ baseOffset }) => baseOffset));
    const lost = acked.filter(({ offset }) => !stored.has(offset));
    // What the dead master had acknowledged and not passed on: the window of asynchronous replication.
    for (const { atMs } of lost) expect(Math.abs(atMs - killedMs)).toBeLessThan(1_000);
    console.log(`${lost.length} of ${acked.length} lost in the window of the fail-over`);
  } finally {
    await engine.close();
  }
}, 90_000);
