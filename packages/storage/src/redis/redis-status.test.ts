/** What the status says of a Redis that answers and refuses writes. */
import { Redis } from "ioredis";
import { afterEach, expect, it } from "vitest";
import { type OwnRedis, startOwnRedis } from "../../test/redis-server.js";
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
