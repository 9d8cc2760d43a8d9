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

  it("gives who claims it nothing of the one before, though the signal of it comes later", async () => {
    const engine = await open();
    for (const topic of ["t", "u"]) await engine.topics.create(topic, { partitions: 1 });
    const member = { group: "g", memberId: "m", incarnation: "m-1", clientId: "c", clientVersion: "1", brokerId: "b" };
    await engine.groups.join({ ...member, topics: ["t"], sessionTimeoutMs: 30_000, staticMember: false }, "earliest");
    const epoch = (await engine.groups.get("g"))?.partitions[0]?.epoch ?? 0;
    const ownership = { group: "g", topic: "t", partition: 0, memberId: "m", epoch };
    const fetched = async (): Promise<boolean[]> => {
      const [got] = await engine.groups.fetch([{ ownership, position: 0n, bytesMax: 1_000, recordsMax: 10 }]);
      if (got?.ok !== true) throw got?.error ?? new Error("no answer");
      return got.entries.map(({ body }) => Buffer.from(body).includes("round 2"));
    };
    await engine.groups.claim(ownership);
    expect(await fetched()).toEqual([]);
    await append(engine, 0, "round 1");
    expect(await fetched()).toEqual([false]);
    // Another process deletes it and makes it again, and nobody has said so yet.
    await engine.log.append([{ topic: "u", partition: 0, batches: [batchOf(["round 2"])] }]);
    const [log, from] = [`${prefix}:{t/0}:log`, `${prefix}:{u/0}:log`];
    const [[, fields] = ["", []]] = await control.xrangeBuffer(from, "-", "+");
    await control.del(log, `${prefix}:{t/0}:pending:g`);
    await control.xadd(log, "0-1", ...(fields as unknown as string[]));
    await control.xgroup("CREATE", log, "g", "0");
    await control.hset(`${prefix}:{t/0}:group:g`, { position: "0", unsettled: "0" });
    await engine.groups.claim(ownership);
    expect(await fetched()).toEqual([true]);
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
