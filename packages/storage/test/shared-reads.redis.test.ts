import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Engine, LogEntry, Ownership } from "../src/engine.js";
import { createRedisEngine } from "../src/redis/redis-engine.js";
import { batchOf } from "./batches.js";
import { type OwnRedis, startOwnRedis } from "./redis-server.js";

let server: OwnRedis;
let control: Redis;
const prefix = `t-${randomUUID().slice(0, 8)}`;
const engines: Engine[] = [];

beforeAll(async () => {
  server = await startOwnRedis([]);
  control = new Redis(server.url);
});

afterAll(async () => {
  control.disconnect();
  await server.stop();
});

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

async function open(): Promise<Engine> {
  const engine = await createRedisEngine({ url: server.url, prefix });
  engines.push(engine);
  return engine;
}

async function fill(engine: Engine, topic: string, values: readonly string[]): Promise<void> {
  for (const value of values) {
    const [outcomes] = await engine.log.append([{ topic, partition: 0, batches: [batchOf([value])] }]);
    expect(outcomes?.[0]).toMatchObject({ ok: true });
  }
}

async function own(engine: Engine, topic: string, group: string): Promise<Ownership> {
  const member = { group, memberId: "m", incarnation: "m-1", clientId: "c", clientVersion: "1", brokerId: "b" };
  await engine.groups.join({ ...member, topics: [topic], sessionTimeoutMs: 30_000, staticMember: false }, "earliest");
  const view = await engine.groups.get(group);
  const ownership = { group, topic, partition: 0, memberId: "m", epoch: view?.partitions[0]?.epoch ?? 0 };
  await engine.groups.claim(ownership);
  return ownership;
}

/** Every entry of the log, fetched a few at a time. */
async function drain(engine: Engine, ownership: Ownership): Promise<LogEntry[]> {
  const all: LogEntry[] = [];
  for (let position = 0n; ; ) {
    const [got] = await engine.groups.fetch([{ ownership, position, bytesMax: 1_000_000, recordsMax: 7 }]);
    if (got?.ok !== true) throw got?.error ?? new Error("no answer");
    all.push(...got.entries);
    position = got.position;
    if (position >= got.endOffset) return all;
  }
}

async function readings(): Promise<number> {
  const stats = await control.info("commandstats");
  return Number(/cmdstat_xrange:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

it("reads what another process appended once for all groups that read it beside each other", async () => {
  const writer = await open();
  const values = Array.from({ length: 50 }, (_, index) => `value ${index}`);
  await writer.topics.create("t", { partitions: 1 });
  await fill(writer, "t", values);
  const reader = await open();
  const groups = await Promise.all(["a", "b", "c", "d", "e"].map((group) => own(reader, "t", group)));
  const [first, second, ...others] = groups as [Ownership, Ownership, ...Ownership[]];
  await drain(reader, first);
  expect(await drain(reader, second)).toHaveLength(50);
  const before = await readings();
  for (const ownership of others) {
    const entries = await drain(reader, ownership);
    expect(entries.map(({ baseOffset }) => baseOffset)).toEqual(values.map((_, index) => BigInt(index)));
    expect(Buffer.from(entries[49]?.body ?? []).includes("value 49")).toBe(true);
  }
  expect(await readings()).toBe(before);
  // What comes behind it is read by whoever asks first.
  await fill(writer, "t", ["later"]);
  const [got] = await reader.groups.fetch([{ ownership: first, position: 50n, bytesMax: 1_000, recordsMax: 7 }]);
  expect(got).toMatchObject({ ok: true, position: 51n });
});

it("gives nothing of a topic that was deleted to the readers of the one made again", async () => {
  const engine = await open();
  await engine.topics.create("again", { partitions: 1 });
  await fill(engine, "again", ["old 0", "old 1"]);
  for (const group of ["a2", "b2", "c2"]) await drain(engine, await own(engine, "again", group));
  for (const group of ["a2", "b2", "c2"]) await engine.groups.leave({ group, memberId: "m", incarnation: "m-1" });
  await engine.topics.delete("again");
  await engine.topics.create("again", { partitions: 1 });
  await fill(await open(), "again", ["new 0"]);
  const [entry, ...rest] = await drain(engine, await own(engine, "again", "d2"));
  expect(Buffer.from(entry?.body ?? []).includes("new 0")).toBe(true);
  expect(rest).toEqual([]);
});
