/** Redis with maxmemory and noeviction: producers are slowed, then refused; consumers and trims go on, and it drains by itself. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ack, fetchFrom, ownPartition } from "../../test/engines.js";
import { type OwnRedis, startOwnRedis } from "../../test/redis-server.js";
import { batchOf } from "../conformance/batches.js";
import type { Engine } from "../engine.js";
import { createRedisEngine } from "./redis-engine.js";

let server: OwnRedis;
let engine: Engine;

beforeAll(async () => {
  server = await startOwnRedis(["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]);
  engine = await createRedisEngine({ url: server.url });
});

afterAll(async () => {
  await engine.close();
  await server.stop();
});

it("fills up, refuses with store_full, drains as a work queue is settled, and takes records again", async () => {
  await engine.topics.create("t", { partitions: 1, retention: { workQueue: true } });
  const { ownership } = await ownPartition(engine, "g", "t");
  await expect.poll(async () => (await engine.status()).details["budget_state"]).toBe("open");
  const batch = batchOf(["x".repeat(10_000)]);
  const append = async () => (await engine.log.append([{ topic: "t", partition: 0, batches: [batch] }]))[0]?.[0];
  let position = 0n;
  for (let round = 0; round < 2; round++) {
    let stored = 0;
    let throttled = 0;
    for (;;) {
      const outcome = await append();
      if (outcome?.ok !== true) {
        expect(outcome).toMatchObject({ error: { code: "store_full", retryable: true } });
        break;
      }
      stored++;
      if ((outcome.throttleMs ?? 0) > 0) throttled++;
      expect(stored).toBeLessThan(2_000);
    }
    expect(stored).toBeGreaterThan(100);
    expect(throttled).toBeGreaterThan(0);
    expect(await engine.status()).toMatchObject({ ready: true, reason: "read-only: store full" });
    const until = position + BigInt(stored);
    while (position < until) {
      const fetched = await fetchFrom(engine, ownership, position);
      position = fetched.position;
      for (const entry of fetched.entries) await ack(engine, ownership, entry);
    }
    await expect.poll(async () => (await append())?.ok, { timeout: 15_000 }).toBe(true);
    const behind = await fetchFrom(engine, ownership, position);
    position = behind.position;
    for (const entry of behind.entries) await ack(engine, ownership, entry);
  }
  expect(await engine.groups.offsets("g")).toMatchObject([{ lostRecords: 0, lagRecords: 0 }]);
}, 60_000);

it("finds a bound that is set at run time with the first refusal, and says so", async () => {
  const own = await startOwnRedis();
  // The janitor's own look would come too late.
  const late = await createRedisEngine({ url: own.url, retentionIntervalMs: 600_000 });
  const redis = new Redis(own.url);
  try {
    await late.topics.create("t", { partitions: 1 });
    const append = async () =>
      (await late.log.append([{ topic: "t", partition: 0, batches: [batchOf(["x".repeat(10_000)])] }]))[0]?.[0];
    expect(await append()).toMatchObject({ ok: true });
    expect((await late.status()).details["budget_state"]).toBeUndefined();
    await redis.config("SET", "maxmemory", "200000");
    expect(await append()).toMatchObject({ error: { code: "store_full" } });
    // At once, before anything is measured.
    expect(await late.status()).toMatchObject({ ready: true, reason: "read-only: store full" });
    await expect
      .poll(async () => (await late.status()).details, { timeout: 15_000 })
      .toMatchObject({ budget_state: "full", budget_bytes_max: "200000" });
    await redis.config("SET", "maxmemory", "0");
    await expect.poll(async () => (await late.status()).reason, { timeout: 15_000 }).toBe("");
    expect(await append()).toMatchObject({ ok: true });
  } finally {
    redis.disconnect();
    await late.close();
    await own.stop();
  }
}, 60_000);
