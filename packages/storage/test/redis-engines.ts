/** Engines over one Redis of the tests' own, for what only Redis does; what holds on every engine is in the conformance suite. */
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { Engine } from "../src/engine.js";
import { createRedisEngine } from "../src/redis/redis-engine.js";
import type { EngineSettings } from "./engines.js";
import { type OwnRedis, startOwnRedis } from "./redis-server.js";

export interface RedisEngines {
  readonly server: OwnRedis;
  /** The test's own connection to the server; it comes back after each kill. */
  readonly control: Redis;
  /** What this test's keys begin with; the next test has another one. */
  readonly prefix: string;
  /** Opens an engine, as one more process would; it is closed after the test. */
  open(settings?: EngineSettings): Promise<Engine>;
  /** Opens an engine and makes the topic `t`. */
  openWithTopic(partitions?: number): Promise<Engine>;
}

/** Starts a redis-server with these settings before the tests of this file, or of this `describe`, and stops it after them. */
export function useRedisEngines(args: readonly string[] = []): RedisEngines {
  const engines: Engine[] = [];
  let server: OwnRedis | undefined;
  let control: Redis | undefined;
  let prefix = "";

  beforeAll(async () => {
    server = await startOwnRedis(args);
    control = new Redis(server.url, { retryStrategy: () => 100, maxRetriesPerRequest: null });
    control.on("error", () => undefined); // tests kill the server
  });
  beforeEach(() => {
    prefix = `t-${randomUUID().slice(0, 8)}`;
  });
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
  });
  afterAll(async () => {
    control?.disconnect();
    await server?.stop();
  });

  async function open(settings: EngineSettings = {}): Promise<Engine> {
    const engine = await createRedisEngine({ url: started(server).url, prefix, ...settings });
    engines.push(engine);
    return engine;
  }

  return {
    get server() {
      return started(server);
    },
    get control() {
      return started(control);
    },
    get prefix() {
      return prefix;
    },
    open,
    async openWithTopic(partitions = 1) {
      const engine = await open();
      await engine.topics.create("t", { partitions });
      return engine;
    },
  };
}

function started<Part>(part: Part | undefined): Part {
  if (part === undefined) throw new Error("the Redis of these tests is not up outside of their hooks and bodies");
  return part;
}
