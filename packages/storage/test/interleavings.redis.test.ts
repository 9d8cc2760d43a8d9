/** What others do between two commands of one engine, or between a command and its answer: a proxy before Redis stops the engine there. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batchOf } from "../src/conformance/batches.js";
import type { Engine } from "../src/engine.js";
import { createRedisEngine } from "../src/redis/redis-engine.js";
import { appendEach } from "./engines.js";
import { useRedisEngines } from "./redis-engines.js";
import { type RedisProxy, startRedisProxy } from "./redis-proxy.js";

const redis = useRedisEngines();
let proxy: RedisProxy;
const stopped: Engine[] = [];

beforeEach(async () => {
  proxy = await startRedisProxy(redis.server.port);
});

afterEach(async () => {
  await Promise.all(stopped.splice(0).map((engine) => engine.close()));
  await proxy.stop();
});

/** An engine that the proxy can stop. */
async function openStoppable(): Promise<Engine> {
  const engine = await createRedisEngine({ url: proxy.url, prefix: redis.prefix });
  stopped.push(engine);
  await expect.poll(async () => (await engine.status()).ready).toBe(true);
  return engine;
}

/** Resolves with the next signal that this topic changed. */
function topicSignal(engine: Engine, topic: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = engine.signals.subscribe((signal) => {
      if (signal.kind !== "topic" || signal.topic !== topic) return;
      stop();
      resolve();
    });
  });
}

describe("what is remembered of a topic", () => {
  it("is not an answer from before its signal that came after it", async () => {
    const other = await redis.openWithTopic(1);
    const engine = await openStoppable();
    await appendEach(engine, "t", [batchOf(["first"])]);
    const signalled = topicSignal(engine, "t");
    const answer = proxy.stopAnswerTo(`${redis.prefix}:topics`);
    const looked = engine.topics.get("t");
    await answer.reached;
    await other.topics.addPartitions("t", 2);
    await signalled;
    answer.release();
    expect((await looked)?.config.partitions).toBe(1);
    const [outcomes] = await engine.log.append([{ topic: "t", partition: 1, batches: [batchOf(["second"])] }]);
    expect(outcomes?.[0]).toMatchObject({ ok: true });
  });
});
