import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { startRedis, type TestRedis, type TestRedisOptions } from "./redis-server.ts";

/** A part of some Redis that belongs to one test. */
export interface TestStore {
  readonly url: string;
  /** Every key and channel of the test begins with it. */
  readonly prefix: string;
  /** The server, when it is the test's own; undefined: it is that of REDIS_URL and nobody's to break. */
  readonly redis: TestRedis | undefined;
  /** Deletes the keys, and ends the server when it is the test's own. */
  stop(): Promise<void>;
}

/** Opens a store: on the Redis of REDIS_URL, when that is set and no options say what the test does to its server; else on a redis-server of its own. */
export async function openTestStore(options?: TestRedisOptions): Promise<TestStore> {
  const url = process.env["REDIS_URL"] ?? "";
  if (options !== undefined || url === "") {
    const redis = await startRedis(options);
    return { url: redis.url, prefix: "gmq", redis, stop: () => redis.stop() };
  }
  const prefix = `t-${randomUUID().slice(0, 8)}`;
  return {
    url,
    prefix,
    redis: undefined,
    async stop() {
      const control = new Redis(url);
      const keys = await control.keys(`${prefix}*`);
      if (keys.length > 0) await control.unlink(...keys);
      control.disconnect();
    },
  };
}
