/** What the status says of a Redis that answers and refuses writes. */
import { mkdir, rm } from "node:fs/promises";
import { Redis } from "ioredis";
import { afterEach, expect, it } from "vitest";
import { type OwnRedis, startOwnRedis } from "../../test/redis-server.js";
import { batchOf } from "../conformance/batches.js";
import type { Engine } from "../engine.js";
import { createRedisEngine } from "./redis-engine.js";

let server: OwnRedis;
let engine: Engine;

afterEach(async () => {
  await engine.close();
  await server.stop();
});

it("says that replicas are missing which Redis was told to wait for, and stays ready to read", async () => {
  server = await startOwnRedis();
  engine = await createRedisEngine({ url: server.url });
  await expect.poll(() => engine.status()).toMatchObject({ ready: true, reason: "" });
  const redis = new Redis(server.url);
  await redis.config("SET", "min-replicas-to-write", "2");
  expect(await engine.status()).toMatchObject({
    ready: true,
    reason: "read-only: Redis has 0 of 2 replicas that it has to have",
  });
  await redis.config("SET", "min-replicas-to-write", "0");
  expect(await engine.status()).toMatchObject({ ready: true, reason: "" });
  redis.disconnect();
});

it("says that snapshots fail, as long as Redis refuses writes for that", async () => {
  server = await startOwnRedis();
  engine = await createRedisEngine({ url: server.url });
  await engine.topics.create("t", { partitions: 1 });
  const append = async () =>
    (await engine.log.append([{ topic: "t", partition: 0, batches: [batchOf(["v"])] }]))[0]?.[0];
  const redis = new Redis(server.url);
  const lastSave = async () => /rdb_last_bgsave_status:(\w+)/.exec(await redis.info("persistence"))?.[1];
  const [, folder = ""] = (await redis.config("GET", "dir")) as [string, string];
  await rm(folder, { recursive: true });
  await redis.bgsave();
  await expect.poll(lastSave, { timeout: 15_000 }).toBe("err");
  // Nobody asked for snapshots: a failed one stops nothing.
  expect(await engine.status()).toMatchObject({ ready: true, reason: "" });
  expect(await append()).toMatchObject({ ok: true });

  await redis.config("SET", "save", "3600 1");
  expect(await append()).toMatchObject({ error: { code: "store_read_only" } });
  const reason = "read-only: Redis cannot save its snapshots (stop-writes-on-bgsave-error)";
  expect(await engine.status()).toMatchObject({ ready: true, reason });

  await redis.config("SET", "stop-writes-on-bgsave-error", "no");
  expect(await engine.status()).toMatchObject({ reason: "" });
  await redis.config("SET", "stop-writes-on-bgsave-error", "yes");
  await mkdir(folder);
  // The folder is another one than that which the server stands in.
  await redis.config("SET", "save", "");
  expect(await engine.status()).toMatchObject({ reason: "" });
  expect(await append()).toMatchObject({ ok: true });
  redis.disconnect();
}, 60_000);
