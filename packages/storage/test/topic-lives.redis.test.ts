import { readFile } from "node:fs/promises";
import { GmqError } from "@gmq/protocol";
import { describe, expect, it } from "vitest";
import { batchOf, valuesOf } from "../src/conformance/batches.js";
import type { Engine } from "../src/engine.js";
import { fetchFrom, ownPartition } from "./engines.js";
import { useRedisEngines } from "./redis-engines.js";

const redis = useRedisEngines();

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

async function storedIn(engine: Engine, partition: number): Promise<string[]> {
  const request = { topic: "t", partition, from: "earliest", entriesMax: 10, bytesMax: 10_000 } as const;
  const { entries } = await engine.log.read(request);
  return entries.flatMap(valuesOf);
}

describe("a topic that is deleted and made again", () => {
  it("keeps what was stored since, however late the deletion of the one before is", async () => {
    const [one, other] = [await redis.open(), await redis.open()];
    await one.topics.create("t", { partitions: 4 });
    for (let round = 0; round < 60; round++) {
      const deleted = one.topics.delete("t");
      await createAgain(other);
      await Promise.all([0, 1, 2, 3].map((partition) => append(other, partition, `round ${round}`)));
      await deleted;
      for (const partition of [0, 1, 2, 3]) expect(await storedIn(other, partition)).toEqual([`round ${round}`]);
    }
  });

  it("keeps what is stored in it while it is still being made, in the stream that the one before has left", async () => {
    const engine = await redis.open();
    await engine.topics.create("t", { partitions: 1 });
    await append(engine, 0, "round 1");
    // Its deletion has come as far as the name, and who makes it again as far as that too.
    const life = String(Date.now() + 1_000);
    const [topics, log, own] = ["topics", "{t/0}:log", "{t/0}:life"].map((key) => `${redis.prefix}:${key}`) as string[];
    const config = JSON.parse((await redis.control.hget(topics as string, "t")) ?? "");
    await redis.control.hset(topics as string, "t", JSON.stringify({ ...config, createdAtMs: Number(life) }));
    const other = await redis.open();
    await append(other, 0, "round 2");
    expect(await storedIn(other, 0)).toEqual(["round 2"]);
    const script = await readFile(new URL("../src/redis/scripts/make-partition.lua", import.meta.url), "utf8");
    expect(await redis.control.eval(script, 2, log as string, own as string, life, "")).toBe("there");
    expect(await storedIn(other, 0)).toEqual(["round 2"]);
  });

  it("gives who claims it nothing of the one before, though the signal of it comes later", async () => {
    const { control, prefix } = redis;
    const engine = await redis.open();
    for (const topic of ["t", "u"]) await engine.topics.create(topic, { partitions: 1 });
    const { ownership, position } = await ownPartition(engine, "g", "t");
    const given = async () => (await fetchFrom(engine, ownership, position)).entries.flatMap(valuesOf);
    expect(await given()).toEqual([]);
    await append(engine, 0, "round 1");
    expect(await given()).toEqual(["round 1"]);
    // Another process deletes it and makes it again, and nobody has said so yet.
    await engine.log.append([{ topic: "u", partition: 0, batches: [batchOf(["round 2"])] }]);
    const [log, from] = [`${prefix}:{t/0}:log`, `${prefix}:{u/0}:log`];
    const [[, fields] = ["", []]] = await control.xrangeBuffer(from, "-", "+");
    await control.del(log, `${prefix}:{t/0}:pending:g`);
    await control.xadd(log, "0-1", ...(fields as unknown as string[]));
    await control.xgroup("CREATE", log, "g", "0");
    await control.hset(`${prefix}:{t/0}:group:g`, { position: "0", unsettled: "0" });
    await engine.groups.claim(ownership);
    expect(await given()).toEqual(["round 2"]);
  });

  it("begins empty when who deleted the one before died on the way", async () => {
    const { control, prefix } = redis;
    const engine = await redis.open();
    await engine.topics.create("t", { partitions: 4 });
    await append(engine, 0, "round 1");
    await ownPartition(engine, "g", "t");
    expect(await control.exists(`${prefix}:{t/0}:group:g`)).toBe(1);
    await control.hdel(`${prefix}:topics`, "t");
    await control.publish(`${prefix}:signal:t:t`, "");
    await createAgain(await redis.open());
    expect(await storedIn(engine, 0)).toEqual([]);
    expect(await control.exists(`${prefix}:{t/0}:group:g`)).toBe(0);
  });

  it("is gone with all its keys, also of groups that began before they were written down", async () => {
    const { control, prefix } = redis;
    const engine = await redis.open();
    await engine.topics.create("t", { partitions: 4 });
    await append(engine, 0, "round 1");
    await ownPartition(engine, "written", "t");
    await ownPartition(engine, "unwritten", "t");
    expect(await control.smembers(`${prefix}:{t/0}:groups`)).toHaveLength(2);
    for (const partition of [0, 1, 2, 3]) await control.srem(`${prefix}:{t/${partition}}:groups`, "unwritten");
    await engine.topics.delete("t");
    expect(await control.keys(`${prefix}:{t/*`)).toEqual([]);
  });

  it("is deleted at the cost of its own groups, not of all that there are", async () => {
    const { control, prefix } = redis;
    const engine = await redis.open();
    await engine.topics.create("t", { partitions: 100 });
    const groups = Array.from({ length: 3_000 }, (_, index) => `g${index}`);
    await control.sadd(`${prefix}:groups`, ...groups);
    const receivedBytes = async () => Number(/total_net_input_bytes:(\d+)/.exec(await control.info("stats"))?.[1]);
    const before = await receivedBytes();
    await engine.topics.delete("t");
    expect((await receivedBytes()) - before).toBeLessThan(1_000_000);
    expect(await control.keys(`${prefix}:{t/*`)).toEqual([]);
  });

  it("leaves nothing of a group that begins while it is deleted", async () => {
    const { control, prefix } = redis;
    const [one, other] = [await redis.open(), await redis.open()];
    for (let round = 0; round < 40; round++) {
      await one.topics.create("t", { partitions: 4 });
      await other.topics.get("t");
      const begins = ownPartition(other, `g${round}`, "t").catch((error: unknown) => GmqError.from(error));
      await one.topics.delete("t");
      await begins;
      expect(await control.keys(`${prefix}:{t/*`)).toEqual([]);
    }
  });

  it("keeps no name of a group that was deleted", async () => {
    const { control, prefix } = redis;
    const engine = await redis.open();
    await engine.topics.create("t", { partitions: 4 });
    const { ownership } = await ownPartition(engine, "g", "t");
    await engine.groups.leave({ group: "g", memberId: ownership.memberId, incarnation: `${ownership.memberId}-1` });
    await engine.groups.delete("g");
    expect(await control.exists(`${prefix}:{t/0}:groups`, `${prefix}:{t/0}:group:g`)).toBe(0);
  });

  it("is made though the store's clock has gone back behind the one before", async () => {
    const { control, prefix } = redis;
    const engine = await redis.open();
    await engine.topics.create("t", { partitions: 4 });
    await append(engine, 0, "round 1");
    await control.hdel(`${prefix}:topics`, "t");
    for (const partition of [0, 1, 2, 3])
      await control.set(`${prefix}:{t/${partition}}:life`, String(Date.now() + 3_600_000));
    const later = await redis.open();
    await createAgain(later);
    expect(await storedIn(later, 0)).toEqual([]);
    await append(later, 0, "round 2");
    expect(await storedIn(later, 0)).toEqual(["round 2"]);
  });
});
