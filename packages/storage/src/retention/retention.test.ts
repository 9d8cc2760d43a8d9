/** What retention and purges let go, the same on both engines. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ack, appendEach, engineKinds, fetchFrom, ownPartition } from "../../test/engines.js";
import { batchOf } from "../conformance/batches.js";
import type { Engine, Retention } from "../engine.js";

const values = (count: number, text = "v"): string[] => Array.from({ length: count }, (_, index) => `${text}${index}`);

async function start(engine: Engine): Promise<bigint> {
  return (await engine.topics.stats("t"))[0]?.startOffset ?? -1n;
}

describe.each(engineKinds())("$name", (kind) => {
  beforeAll(kind.start);
  afterEach(kind.close);
  afterAll(kind.stop);

  /** A topic of ten entries with ten records each, without anything that trims. */
  async function filled(retention?: Retention): Promise<Engine> {
    const engine = await kind.open({ retentionIntervalMs: 40 });
    await engine.topics.create("t", { partitions: 1, retention });
    await appendEach(
      engine,
      "t",
      Array.from({ length: 10 }, () => batchOf(values(10))),
    );
    return engine;
  }

  it("counts the bytes of a partition without asking for them", async () => {
    const engine = await filled();
    const batch = batchOf(values(10));
    const [stats] = await engine.topics.stats("t");
    expect(stats).toMatchObject({ bytes: batch.records.length * 10, entries: 10, startOffset: 0n, endOffset: 100n });
    expect(stats?.firstAppendMs).toBeGreaterThan(Date.now() - 60_000);
    await engine.log.purge({ topic: "t", toOffset: 55n });
    expect((await engine.topics.stats("t"))[0]).toMatchObject({ bytes: batch.records.length * 5, startOffset: 50n });
  });

  it("keeps the last records, and the rest of the entry in which they begin", async () => {
    const engine = await filled({ records: 25 });
    await expect.poll(() => start(engine)).toBe(70n);
    const [stats] = await engine.topics.stats("t");
    expect(stats?.endOffset).toBe(100n);
  });

  it("keeps the last bytes, and the rest of the entry in which they begin", async () => {
    const entry = batchOf(values(10)).records.length;
    const engine = await filled({ bytes: entry * 2 + 1 });
    await expect.poll(() => start(engine)).toBe(70n);
  });

  it("lets go what is old, and never the last entry", async () => {
    const engine = await filled({ ms: 1 });
    await expect.poll(() => start(engine)).toBe(90n);
    expect(await appendEach(engine, "t", [batchOf(["next"])])).toEqual([100n]);
    await expect.poll(() => start(engine)).toBe(100n);
  });

  it("keeps what is young", async () => {
    const engine = await filled({ ms: 60_000 });
    await appendEach(engine, "t", [batchOf(["a"])]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await start(engine)).toBe(0n);
  });

  it("as a work queue keeps what some group has not settled, and everything while there is no group", async () => {
    const engine = await filled({ workQueue: true });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await start(engine)).toBe(0n);
    const fast = await ownPartition(engine, "fast", "t");
    const slow = await ownPartition(engine, "slow", "t");
    const { entries } = await fetchFrom(engine, fast.ownership, 0n);
    for (const entry of entries) await ack(engine, fast.ownership, entry);
    const first = await fetchFrom(engine, slow.ownership, 0n, 35);
    expect(first.entries.length).toBe(3);
    // The second is settled in part: it stays.
    await ack(engine, slow.ownership, first.entries[0] as (typeof entries)[number]);
    await ack(engine, slow.ownership, first.entries[1] as (typeof entries)[number], 4);
    await ack(engine, slow.ownership, first.entries[2] as (typeof entries)[number]);
    await expect.poll(() => start(engine)).toBe(10n);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await start(engine)).toBe(10n);
    for (const group of ["fast", "slow"]) {
      expect(await engine.groups.offsets(group)).toMatchObject([{ lostRecords: 0 }]);
    }
    const again = await engine.groups.claim(slow.ownership);
    expect(again.pending).toMatchObject([{ baseOffset: 10n, states: "aaaa......" }]);
  });

  it("counts what a group loses, settles it away, and goes on behind it", async () => {
    const engine = await filled();
    const { ownership } = await ownPartition(engine, "g", "t");
    const idle = await ownPartition(engine, "idle", "t");
    const { entries } = await fetchFrom(engine, ownership, 0n, 40);
    expect(entries.length).toBe(4);
    await ack(engine, ownership, entries[0] as (typeof entries)[number]);
    await ack(engine, ownership, entries[1] as (typeof entries)[number], 3);
    const retry = { firstOffset: 25n, lastOffset: 25n, verb: "retry" as const, delayMs: 60_000 };
    await engine.groups.settle([{ ownership, entries: [{ baseOffset: 20n, recordCount: 10, ranges: [retry] }] }]);

    const asked = { topic: "t", partition: 0, toOffset: 67n };
    const losses = [
      // 7 of the second entry, 10 of the third and the fourth, 20 that it was not given.
      { group: "g", records: 47 },
      { group: "idle", records: 60 },
    ];
    const dry = await engine.log.purge({ ...asked, dryRun: true });
    expect(dry).toMatchObject([{ partition: 0, startBefore: 0n, startAfter: 60n }]);
    expect(dry[0]?.losses.toSorted((one, other) => one.group.localeCompare(other.group))).toEqual(losses);
    expect(await start(engine)).toBe(0n);
    const done = await engine.log.purge(asked);
    expect(done[0]?.losses.toSorted((one, other) => one.group.localeCompare(other.group))).toEqual(losses);
    expect(await engine.log.purge(asked)).toEqual([{ partition: 0, startBefore: 60n, startAfter: 60n, losses: [] }]);

    expect(await engine.groups.offsets("g")).toMatchObject([
      { position: 60n, unsettledRecords: 0, startOffset: 60n, endOffset: 100n, lagRecords: 40, lostRecords: 47 },
    ]);
    expect(await engine.groups.offsets("idle")).toMatchObject([{ lagRecords: 40, lostRecords: 60 }]);
    expect((await engine.groups.claim(ownership)).pending).toEqual([]);
    // A settle of what is gone is no error, and a reader behind the start goes on at the start.
    await ack(engine, ownership, entries[2] as (typeof entries)[number]);
    const next = await fetchFrom(engine, idle.ownership, 0n);
    expect(next.entries.map(({ baseOffset }) => baseOffset)).toEqual([60n, 70n, 80n, 90n]);
    expect(next.position).toBe(100n);
    expect(await engine.groups.offsets("idle")).toMatchObject([{ unsettledRecords: 40, lagRecords: 40 }]);
  });

  it("purges to any offset but the last entry, and refuses what is wrong by name", async () => {
    const engine = await filled();
    expect(await engine.log.purge({ topic: "t", toOffset: 9n })).toMatchObject([{ startBefore: 0n, startAfter: 0n }]);
    expect(await engine.log.purge({ topic: "t", toOffset: 10n })).toMatchObject([{ startBefore: 0n, startAfter: 10n }]);
    expect(await engine.log.purge({ topic: "t", toOffset: 10_000n })).toMatchObject([{ startAfter: 90n }]);
    await expect(engine.log.purge({ topic: "t", toOffset: -1n })).rejects.toMatchObject({
      code: "invalid_argument",
      field: "to_offset",
    });
    await expect(engine.log.purge({ topic: "t", partition: 1, toOffset: 1n })).rejects.toMatchObject({
      code: "partition_not_found",
      limit: "0 to 0",
    });
    await expect(engine.log.purge({ topic: "x", toOffset: 1n })).rejects.toMatchObject({ code: "topic_not_found" });
  });

  it("stores a batch once, though what it was first stored in is trimmed", async () => {
    const engine = await kind.open();
    await engine.topics.create("t", { partitions: 1 });
    const identity = { producerId: 5n, producerEpoch: 1 };
    const batch = (sequence: number) => batchOf(["x"], { ...identity, firstSequence: BigInt(sequence) });
    await appendEach(engine, "t", [batch(0), batch(1), batchOf(["id"], { dedupeId: "order-1" }), batchOf(["other"])]);
    await engine.log.purge({ topic: "t", toOffset: 3n });
    // Made and changed: a process that has never seen the log finds the same.
    const info = await engine.topics.get("t");
    await engine.topics.alter("t", {}, info?.version ?? 0);
    const again = await engine.log.append([
      { topic: "t", partition: 0, batches: [batch(1), batchOf(["id"], { dedupeId: "order-1" }), batch(2)] },
    ]);
    expect(again[0]).toMatchObject([
      { ok: true, firstOffset: 1n, duplicate: true },
      { ok: true, firstOffset: 2n, duplicate: true },
      { ok: true, firstOffset: 4n, duplicate: false },
    ]);
    expect((await engine.topics.stats("t"))[0]).toMatchObject({ startOffset: 3n, endOffset: 5n });
  });
});
