import type { RedisClient } from "./redis-client.js";

/** The store's clock in ms, with a fraction. Source: redis.io, TIME. */
export async function storeTimeMs(redis: RedisClient): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000 + Number(microseconds) / 1_000;
}
