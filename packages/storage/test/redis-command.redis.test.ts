/** Commands of the hot path against a real Redis: their bytes, their errors, and that nothing of them stays. */
import { constants, type NodeGCPerformanceDetail, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RedisCommand, type Reply } from "../src/redis/redis-command.js";
import { type OwnRedis, startOwnRedis } from "./redis-server.js";

let server: OwnRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startOwnRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

function call(name: string, ...args: (string | Buffer)[]): Promise<Reply> {
  return new RedisCommand(name, args).send(redis);
}

it("sends texts and bytes as they are and answers with bytes", async () => {
  const bytes = Buffer.from([0, 13, 10, 255, 128]);
  expect(await call("set", "k€", bytes)).toEqual(Buffer.from("OK"));
  expect(await call("get", "k€")).toEqual(bytes);
  expect(await call("set", "empty", Buffer.alloc(0))).toEqual(Buffer.from("OK"));
  expect(await call("mget", "empty", "none")).toEqual([Buffer.alloc(0), null]);
  expect(await call("incr", "number")).toBe(1);
});

it("sends the parts of the last argument as one value, also beside others in one turn", async () => {
  const parts = [Buffer.from("one\r\n"), Buffer.alloc(70_000, 7), new Uint8Array([1, 2]), Buffer.alloc(0)];
  const added = new RedisCommand("xadd", ["log", "1-0", "b"], parts).send(redis);
  const [, id, , entries] = await Promise.all([call("ping"), added, call("ping"), call("xrange", "log", "-", "+")]);
  expect(id).toEqual(Buffer.from("1-0"));
  expect(entries).toEqual([[Buffer.from("1-0"), [Buffer.from("b"), Buffer.concat(parts)]]]);
});

it("throws Redis' own error, and that of a connection that is gone", async () => {
  await expect(call("incr", "k€")).rejects.toMatchObject({
    name: "ReplyError",
    message: expect.stringMatching(/^ERR/),
  });
  const gone = new Redis(server.url, { enableOfflineQueue: false, lazyConnect: true });
  await gone.connect();
  const waits = new RedisCommand("blpop", ["nothing", "30"]).send(gone);
  gone.disconnect();
  await expect(waits).rejects.toThrow("Connection is closed.");
});

/** Bytes that commands leave in the old generation; undefined when a collection of the whole heap came between. */
async function leftOld(send: (index: number, bytes: Buffer) => Promise<unknown>): Promise<number | undefined> {
  let isClean = true;
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as (PerformanceEntry & { readonly detail: NodeGCPerformanceDetail })[])
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) isClean = false;
  });
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options: { readonly type: "minor" }) => void;
  const oldBytes = (): number =>
    getHeapSpaceStatistics().find(({ space_name }) => space_name === "old_space")?.space_used_size ?? 0;
  for (let round = 0; round < 4; round++) collect({ type: "minor" });
  observer.observe({ entryTypes: ["gc"] });
  const before = oldBytes();
  for (let index = 0; index < 5_000; index++) await send(index, Buffer.alloc(512, 120));
  for (let round = 0; round < 2; round++) collect({ type: "minor" });
  const left = oldBytes() - before;
  await sleep(20);
  observer.disconnect();
  return isClean ? left : undefined;
}

/** Of three tries: what the process compiles or collects meanwhile is in one of them, not in all. */
async function triesOf(send: (index: number, bytes: Buffer) => Promise<unknown>): Promise<number[]> {
  const tries: number[] = [];
  for (let count = 0; count < 3; count++) {
    const left = await leftOld(send);
    if (left !== undefined) tries.push(left);
  }
  return tries;
}

it("leaves nothing behind once it is answered", async () => {
  const byOwn = await triesOf((index, bytes) => call("set", `own-${index % 10}`, bytes));
  const byIoredis = await triesOf((index, bytes) => redis.set(`io-${index % 10}`, bytes));
  // The reason for a command of our own. Whoever sees this fail can use ioredis' again.
  if (byIoredis.length > 0) expect(Math.max(...byIoredis)).toBeGreaterThan(384 * 1024);
  if (byOwn.length > 0) expect(Math.min(...byOwn)).toBeLessThan(256 * 1024);
});
