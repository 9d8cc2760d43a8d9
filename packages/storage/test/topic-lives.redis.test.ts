import { randomUUID } from "node:crypto";
import { GmqError } from "@gmq/protocol";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Engine } from "../src/engine.js";
import { createRedisEngine } from "../src/redis/redis-engine.js";
import { batchOf } from "./batches.js";
import { type OwnRedis, startOwnRedis } from "./redis-server.js";

let server: OwnRedis;
let control: Redis;
let prefix: string;
const engines: Engine[] = [];

beforeAll(async () => {
  server = await startOwnRedis([]);
  control = new Redis(server.url);
});

afterAll(async () => {
  control.disconnect();
  await server.stop();
});

beforeEach(() => {
  prefix = `t-${randomUUID().slice(0, 8)}`;
});

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

async function open(): Promise<Engine> {
  const engine = await createRedisEngine({ url: server.url, prefix });
  engines.push(engine);
  return engine;
}

/** Makes the topic as soon as it can be made. */
async function createAgain(engine: Engine): Promise<void> {
  for (;;) {
    try {
      await engine.topics.create("t", { partitions: 4 });
      return;
    } catch (error) {
      if (!GmqError.is(error, "topic_exists")) throw error;
    }
  }
}

async function append(engine: Engine, partition: number, value: string): Promise<void> {
  const [outcomes] = await engine.log.append([{ topic: "t", partition, batches: [batchOf([value])] }]);
  expect(outcomes?.[0]).toMatchObject({ ok: true });
}

async function textsOf(engine: Engine, partition: number): Promise<string[]> {
  const request = { topic: "t", partition, from: "earliest", entriesMax: 10, bytesMax: 10_000 } as const;
  const { entries } = await engine.log.read(request);
  return entries.map(({ body }) =>
    Buffer.from(body)
      .toString("latin1")
      .replace(/.*(round \d+).*/s, "$1"),
  );
}

describe("a topic that is deleted and made again", () => {
  it("keeps what was stored since, however late the deletion of the one before is", async () => {
    const [one, other] = [await open(), await open()];
    await one.topics.create("t", { partitions: 4 });
    for (let round = 0; round < 60; round++) {
      const deleted = one.topics.delete("t");
      await createAgain(other);
      await Promise.all([0, 1, 2, 3].map((partition) => append(other, partition, `round ${round}`)));
      await deleted;
      for (const partition of [0, 1, 2, 3]) expect(await textsOf(other, partition)).toEqual([`round ${round}`]);
    }
  });

  it("begins empty when who deleted the one before died on the way", async () => {
    const engine = await open();
    await engine.topics.create("t", { partitions: 4 });
    await append(engine, 2, "round 1");
    await control.hset(`${prefix}:{t/2}:group:g`, { epoch: "7", owner: "m", position: "1", unsettled: "0" });
    await control.sadd(`${prefix}:groups`, "g");
    await control.hdel(`${prefix}:topics`, "t");
    await control.publish(`${prefix}:signal:t:t`, "");
    await createAgain(await open());
    expect(await textsOf(engine, 2)).toEqual([]);
    expect(await control.exists(`${prefix}:{t/2}:group:g`)).toBe(0);
  });

  it("is gone with all its keys, of however many groups", async () => {
    const engine = await open();
    await engine.topics.create("t", { partitions: 4 });
    await append(engine, 1, "round 1");
    const groups = Array.from({ length: 3_000 }, (_, index) => `g${index}`);
    await control.sadd(`${prefix}:groups`, ...groups);
    await control.hset(`${prefix}:{t/1}:group:g2999`, { epoch: "1" });
    await engine.topics.delete("t");
    expect(await control.keys(`${prefix}:{t/*`)).toEqual([]);
  });

  it("is made though the store's clock has gone back behind the one before", async () => {
    const engine = await open();
    await engine.topics.create("t", { partitions: 4 });
    await append(engine, 0, "round 1");
    await control.hdel(`${prefix}:topics`, "t");
    for (const partition of [0, 1, 2, 3])
      await control.set(`${prefix}:{t/${partition}}:life`, String(Date.now() + 3_600_000));
    const later = await open();
    await createAgain(later);
    expect(await textsOf(later, 0)).toEqual([]);
    await append(later, 0, "round 2");
    expect(await textsOf(later, 0)).toEqual(["round 2"]);
  });
});
