/** Two storage processes over one Redis, one of which makes a topic grow: the other takes records for the new partitions before it hears the signal. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { batchOf } from "../src/conformance/batches.js";
import type { Engine } from "../src/engine.js";
import { createRedisEngine } from "../src/redis/redis-engine.js";
import { type OwnRedis, startOwnRedis } from "./redis-server.js";

let server: OwnRedis;
let growing: Engine;
let other: Engine;

beforeAll(async () => {
  server = await startOwnRedis([]);
  const prefix = `t-${randomUUID().slice(0, 8)}`;
  growing = await createRedisEngine({ url: server.url, prefix });
  other = await createRedisEngine({ url: server.url, prefix });
});

afterAll(async () => {
  await growing.close();
  await other.close();
  await server.stop();
});

async function appendTo(topic: string, partition: number): Promise<unknown> {
  const [[outcome] = []] = await other.log.append([{ topic, partition, batches: [batchOf(["x"])] }]);
  return outcome;
}

it("stores in a partition that is a moment old, and refuses one that is not there", async () => {
  // The signal may be the faster one, now and then.
  for (let round = 0; round < 30; round++) {
    const topic = `t${round}`;
    await growing.topics.create(topic, { partitions: 1 });
    expect(await appendTo(topic, 0)).toMatchObject({ ok: true });
    await growing.topics.addPartitions(topic, 2);
    expect(await appendTo(topic, 1)).toMatchObject({ ok: true });
    expect(await appendTo(topic, 2)).toMatchObject({
      ok: false,
      error: { code: "partition_not_found", limit: "0 to 1" },
    });
  }
});
