/** Appends that wait for replicas: answered once they have it, not known while they do not, and nothing is lost when the master dies. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterEach, expect, it } from "vitest";
import type { AppendOutcome, Engine, LogBatch } from "../src/engine.js";
import { createRedisEngine } from "../src/redis.js";
import { append } from "./engines.js";
import { type RedisProxy, startRedisProxy } from "./redis-proxy.js";
import { type OwnRedis, startOwnRedis } from "./redis-server.js";

const servers: OwnRedis[] = [];
const engines: Engine[] = [];
const proxies: RedisProxy[] = [];
let prefix: string;

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
  for (const proxy of proxies.splice(0)) await proxy.stop();
  for (const server of servers.splice(0)) await server.stop();
});

async function start(): Promise<{ master: OwnRedis; replica: OwnRedis; control: Redis }> {
  prefix = `r-${randomUUID().slice(0, 8)}`;
  const master = await startOwnRedis(["--repl-diskless-sync-delay", "0"]);
  const replica = await startOwnRedis(["--replicaof", "127.0.0.1", String(master.port)]);
  servers.push(master, replica);
  const control = new Redis(replica.port, { maxRetriesPerRequest: 0 });
  const untilMs = performance.now() + 30_000;
  while (!(await control.info("replication")).includes("master_link_status:up")) {
    if (performance.now() > untilMs) throw new Error("the replica has no link to its master");
    await sleep(50);
  }
  return { master, replica, control };
}

async function open(url: string): Promise<Engine> {
  const engine = await createRedisEngine({ url, prefix, replicas: 1, replicaTimeoutMs: 3_000 });
  engines.push(engine);
  await expect.poll(async () => (await engine.status()).ready).toBe(true);
  return engine;
}

const numbered = (sequence: number): Partial<LogBatch> => ({
  producerId: 5n,
  producerEpoch: 0,
  firstSequence: BigInt(sequence),
});

it("is answered when the replica has it", async () => {
  const { master, control } = await start();
  const engine = await open(master.url);
  await engine.topics.create("t", { partitions: 1 });
  for (let sequence = 0; sequence < 100; sequence++) {
    expect(await append(engine, "t", [`v${sequence}`], numbered(sequence))).toMatchObject({ ok: true });
    expect(await control.xlen(`${prefix}:{t/0}:log`)).toBe(sequence + 1);
  }
  control.disconnect();
}, 60_000);

it("is not known while the replica is away, and answered as a duplicate once it is back", async () => {
  const { master, replica, control } = await start();
  control.disconnect();
  const engine = await open(master.url);
  await engine.topics.create("t", { partitions: 1 });
  expect(await append(engine, "t", ["a"], numbered(0))).toMatchObject({ ok: true, firstOffset: 0n });
  await replica.kill();
  for (const duplicateToo of [false, true]) {
    const outcome = await append(engine, "t", ["b"], numbered(1));
    expect(outcome, String(duplicateToo)).toMatchObject({
      ok: false,
      error: { code: "unknown_outcome", field: "replicas" },
    });
  }
  const later = { dedupeId: "later", deliverAtMs: BigInt(Date.now() + 60_000) };
  expect(await append(engine, "t", ["c"], later)).toMatchObject({ ok: false, error: { code: "unknown_outcome" } });
  await replica.start();
  await expect
    .poll(async () => append(engine, "t", ["b"], numbered(1)))
    .toMatchObject({ ok: true, firstOffset: 1n, duplicate: true });
  expect(await append(engine, "t", ["c"], later)).toMatchObject({ ok: true });
}, 60_000);

it("loses nothing that was answered when the master dies and the replica takes its place", async () => {
  const { master, replica, control } = await start();
  const engine = await open(master.url);
  await engine.topics.create("t", { partitions: 1 });
  const acked: bigint[] = [];
  let over = false;
  const producing = (async () => {
    for (let sequence = 0; !over; ) {
      const outcome = await append(engine, "t", [`v${sequence}`], numbered(sequence));
      // Not answered in time on a busy machine: sent again under its number.
      if (!outcome.ok) continue;
      acked.push(outcome.firstOffset);
      sequence++;
    }
  })();
  await expect.poll(() => acked.length).toBeGreaterThan(300);
  await master.kill();
  over = true;
  await producing;
  await control.call("REPLICAOF", "NO", "ONE");
  const second = await createRedisEngine({ url: replica.url, prefix });
  engines.push(second);
  await expect.poll(async () => (await second.status()).ready).toBe(true);
  const from = { topic: "t", partition: 0, from: "earliest", entriesMax: 100_000, bytesMax: 1 << 24 } as const;
  const { entries } = await second.log.read(from);
  const stored = new Set(entries.map(({ baseOffset }) => baseOffset));
  expect(acked.filter((offset) => !stored.has(offset))).toEqual([]);
  control.disconnect();
}, 90_000);

it("is not confirmed by the replicas of a server that took the master's place and does not have it", async () => {
  const { master, replica, control } = await start();
  const behind = await startOwnRedis(["--replicaof", "127.0.0.1", String(replica.port)]);
  servers.push(behind);
  const proxy = await startRedisProxy(master.port);
  proxies.push(proxy);
  const engine = await createRedisEngine({ url: proxy.url, prefix, replicas: 1, replicaTimeoutMs: 1_000 });
  engines.push(engine);
  await expect.poll(async () => (await engine.status()).ready).toBe(true);
  await engine.topics.create("t", { partitions: 1 });
  await expect.poll(async () => append(engine, "t", ["a"], numbered(0))).toMatchObject({ ok: true });
  // The replica is the master from here on, and its own replica is there; "b" is in the old one alone.
  await control.call("REPLICAOF", "NO", "ONE");
  await control.set(`${prefix}:seen`, "1");
  await expect.poll(() => control.call("WAIT", "1", "1000"), { timeout: 15_000 }).toBe(1);
  expect(await append(engine, "t", ["b"], numbered(1))).toMatchObject({
    ok: false,
    error: { code: "unknown_outcome" },
  });
  // The old one's host vanishes. The connection that waits for replicas is the first to notice.
  proxy.route(replica.port);
  const swallowed = proxy.silence("gmq-");
  const made = proxy.count("gmq-replicas");
  proxy.cut("gmq-replicas");
  await expect.poll(() => proxy.count("gmq-replicas"), { timeout: 15_000 }).toBeGreaterThan(made);
  let outcome: AppendOutcome | undefined;
  const sent = append(engine, "t", ["b"], numbered(1)).then((found) => {
    outcome = found;
  });
  const asksAgain = (): boolean => swallowed().includes("{t/0}:producers");
  await expect.poll(() => outcome !== undefined || asksAgain(), { timeout: 15_000 }).toBe(true);
  for (const name of ["gmq-commands", "gmq-reads", "gmq-signals"]) proxy.cut(name);
  await sent;
  // Not answered in time on a busy machine: sent again below.
  if (outcome?.ok === false) expect(outcome.error.retryable).toBe(true);
  else expect(await control.xlen(`${prefix}:{t/0}:log`)).toBe(2);
  await expect
    .poll(async () => append(engine, "t", ["b"], numbered(1)), { timeout: 15_000 })
    .toMatchObject({ ok: true });
  expect(await control.xlen(`${prefix}:{t/0}:log`)).toBe(2);
  control.disconnect();
}, 60_000);

it("refuses settings out of bounds by name", async () => {
  for (const wrong of [{ replicas: -1 }, { replicas: 9 }, { replicas: 1, replicaTimeoutMs: 0 }]) {
    await expect(createRedisEngine(wrong)).rejects.toMatchObject({
      code: "invalid_argument",
      limit: expect.any(String),
    });
  }
});
