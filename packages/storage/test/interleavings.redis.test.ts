/** What others do between two commands of one engine, or between a command and its answer: a proxy before Redis stops the engine there. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batchOf, valuesOf } from "../src/conformance/batches.js";
import { memberOf } from "../src/conformance/consumer.js";
import type { Engine, LogBatch } from "../src/engine.js";
import { createRedisEngine } from "../src/redis/redis-engine.js";
import { append, appendEach, fetchFrom, ownPartition, recordsIn } from "./engines.js";
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

/** By what a script is called. */
function shaOf(script: string): string {
  const text = readFileSync(new URL(`../src/redis/scripts/${script}.lua`, import.meta.url));
  return createHash("sha1").update(text).digest("hex");
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

describe("a group that begins", () => {
  it("begins in the topic that there is, though it asked where the one before ended", async () => {
    const other = await redis.openWithTopic(1);
    const engine = await openStoppable();
    await appendEach(other, "t", [batchOf(["1", "2", "3", "4", "5"])]);
    const join = (group: string) =>
      engine.groups.join(memberOf(group, ["t"], { memberId: `${group}-m`, incarnation: `${group}-m-1` }), "latest");
    // Every script is known to Redis from here on.
    await join("before");
    const end = proxy.stopAnswerTo(shaOf("meta-at"));
    const joined = join("g");
    await end.reached;
    await other.topics.delete("t");
    await other.topics.create("t", { partitions: 1 });
    end.release();
    const epoch = (await joined).partitions[0]?.epoch ?? 0;
    const ownership = { group: "g", topic: "t", partition: 0, memberId: "g-m", epoch };
    const { position } = await engine.groups.claim(ownership);
    expect(position).toBe(0n);
    await appendEach(other, "t", [batchOf(["later"])]);
    const { entries } = await fetchFrom(engine, ownership, position);
    expect(entries.flatMap(valuesOf)).toEqual(["later"]);
  });
});

describe("a group that is deleted and made again", () => {
  /** Joins, reads what there is, and leaves. */
  async function useAndLeave(engine: Engine): Promise<void> {
    const { ownership } = await ownPartition(engine, "g", "t");
    expect((await fetchFrom(engine, ownership, 0n)).entries).toHaveLength(1);
    await engine.groups.leave({ group: "g", memberId: "g-m", incarnation: "g-m-1" });
  }

  it.each(["forget-group", "end-deletion", "srem"])(
    "keeps its place though the deletion of the one before is late (%s)",
    async (late) => {
      const other = await redis.openWithTopic(1);
      const engine = await openStoppable();
      await appendEach(other, "t", [batchOf(["first"])]);
      await useAndLeave(other);
      const stop = proxy.stopAt(late === "srem" ? "srem" : shaOf(late));
      const deleted = engine.groups.delete("g");
      await stop.reached;
      const { ownership, position } = await ownPartition(other, "g", "t");
      expect(position).toBe(0n);
      expect((await fetchFrom(other, ownership, 0n)).entries).toHaveLength(1);
      stop.release();
      await deleted;
      await appendEach(other, "t", [batchOf(["second"])]);
      expect((await fetchFrom(other, ownership, 1n)).entries).toHaveLength(1);
      expect((await other.groups.list()).map(({ group }) => group)).toEqual(["g"]);
    },
  );

  it("begins anew though who deleted the one before died on the way", async () => {
    const other = await redis.openWithTopic(1);
    const engine = await openStoppable();
    await appendEach(other, "t", [batchOf(["first"])]);
    await useAndLeave(other);
    const stop = proxy.stopAt(shaOf("forget-group"));
    const deleted = engine.groups.delete("g").catch(() => undefined);
    await stop.reached;
    proxy.cut("gmq-commands");
    await deleted;
    stop.release();
    expect(await other.groups.list()).toEqual([]);
    const { ownership, position } = await ownPartition(other, "g", "t");
    expect(position).toBe(0n);
    expect((await fetchFrom(other, ownership, 0n)).entries).toHaveLength(1);
  });
});

it("a group that is deleted while it is reset does not come back", async () => {
  const other = await redis.openWithTopic(1);
  const engine = await openStoppable();
  const { ownership } = await ownPartition(other, "g", "t");
  await other.groups.leave({ group: "g", memberId: ownership.memberId, incarnation: `${ownership.memberId}-1` });
  const stop = proxy.stopAt(shaOf("reposition"));
  const reset = engine.groups.reset({
    group: "g",
    topic: "t",
    partitions: undefined,
    to: "earliest",
    dryRun: false,
    expectedVersion: undefined,
  });
  const refused = expect(reset).rejects.toMatchObject({ code: "fenced" });
  await stop.reached;
  await other.groups.delete("g");
  stop.release();
  await refused;
  expect(await other.groups.list()).toEqual([]);
});

it("a group that is paused while its topic grows is paused as a whole, and so is what the topic grows by later", async () => {
  const other = await redis.openWithTopic(1);
  const engine = await openStoppable();
  const { ownership } = await ownPartition(other, "g", "t");
  const member = { group: "g", memberId: ownership.memberId, incarnation: `${ownership.memberId}-1` };
  async function grow(partitions: number): Promise<void> {
    const signalled = topicSignal(other, "t");
    await other.topics.addPartitions("t", partitions);
    await signalled;
    await other.groups.heartbeat([{ ...member, sessionTimeoutMs: 60_000 }]);
  }
  const stop = proxy.stopAnswerTo(shaOf("load-group"));
  const paused = engine.groups.pause({ group: "g", topic: undefined });
  await stop.reached;
  await grow(2);
  stop.release();
  expect((await paused).partitions.map(({ hold }) => hold)).toEqual(["paused", "paused"]);
  await grow(3);
  const view = await other.groups.get("g");
  expect(view?.partitions.map(({ hold }) => hold)).toEqual(["paused", "paused", "paused"]);
  expect(view?.partitions[2]?.memberId).toBeUndefined();
});

describe("what is known of producers", () => {
  const first = (producerId: bigint): Partial<LogBatch> => ({ producerId, producerEpoch: 0, firstSequence: 0n });

  it("does not miss what is trimmed while the log is read", async () => {
    const other = await redis.openWithTopic(1);
    const engine = await openStoppable();
    await append(other, "t", ["a"], first(5n));
    await append(other, "t", ["b"], first(6n));
    const stop = proxy.stopAt(shaOf("tail"));
    const again = append(engine, "t", ["a"], first(5n));
    await stop.reached;
    const [purged] = await other.log.purge({ topic: "t", partition: 0, toOffset: 1n });
    expect(purged?.startAfter).toBe(1n);
    stop.release();
    expect(await again).toMatchObject({ ok: true, duplicate: true, firstOffset: 0n });
    expect((await recordsIn(other, "t")).map(({ value }) => value)).toEqual(["b"]);
  });

  it("does not outlive their topic, though it is kept late", async () => {
    const other = await redis.openWithTopic(1);
    const engine = await openStoppable();
    await append(other, "t", ["a"], first(5n));
    await append(other, "t", ["b"], first(6n));
    const stop = proxy.stopAt(shaOf("keep-producers"));
    const purged = engine.log.purge({ topic: "t", partition: 0, toOffset: 1n });
    await stop.reached;
    await other.topics.delete("t");
    await other.topics.create("t", { partitions: 1 });
    await append(other, "t", ["c"], first(5n));
    stop.release();
    await purged;
    const later = await redis.open();
    expect(await append(later, "t", ["d"], first(6n))).toMatchObject({ ok: true, duplicate: false, firstOffset: 1n });
    expect((await recordsIn(later, "t")).map(({ value }) => value)).toEqual(["c", "d"]);
  });
});

it("what is delayed while another process empties its partition comes in time, though that process dies on the way", async () => {
  const other = await redis.openWithTopic(1);
  const engine = await openStoppable();
  const delayed = (dedupeId: string, inMs: number): Partial<LogBatch> => ({
    dedupeId,
    deliverAtMs: BigInt(Date.now() + inMs),
  });
  // Who keeps something looks when it is due.
  await append(engine, "t", ["a"], delayed("a", 500));
  const emptied = proxy.stopAt(shaOf("raise-delay"));
  await emptied.reached;
  await append(other, "t", ["b"], delayed("b", 2_000));
  const next = proxy.stopAt("\r\nzrange\r\n");
  emptied.release();
  const isNoted = async (): Promise<boolean> =>
    Number(await redis.control.zscore(`${redis.prefix}:delayed`, "t/0")) < Date.now() + 60_000;
  await Promise.race([next.reached, expect.poll(isNoted, { timeout: 15_000 }).toBe(true)]);
  proxy.cut("gmq-commands");
  next.release();
  const values = async (): Promise<string[]> => (await recordsIn(other, "t")).map(({ value }) => value);
  await expect.poll(values, { timeout: 15_000 }).toEqual(["a", "b"]);
});
