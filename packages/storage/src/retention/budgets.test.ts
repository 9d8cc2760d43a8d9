/** Byte budgets of topics and of the whole store, the same on both engines. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ack, engineKinds, fetchFrom, ownPartition } from "../../test/engines.js";
import { batchOf } from "../conformance/batches.js";
import type { AppendOutcome, Engine } from "../engine.js";

const kilobyte = "x".repeat(1_000);

async function appendOne(engine: Engine, topic = "t"): Promise<AppendOutcome> {
  const [[outcome] = []] = await engine.log.append([{ topic, partition: 0, batches: [batchOf([kilobyte])] }]);
  return outcome as AppendOutcome;
}

/** Appends until it is refused; the outcomes that came before. */
async function fill(engine: Engine, topic = "t"): Promise<{ stored: AppendOutcome[]; refused: AppendOutcome }> {
  const stored: AppendOutcome[] = [];
  for (let count = 0; count < 5_000; count++) {
    const outcome = await appendOne(engine, topic);
    if (!outcome.ok) return { stored, refused: outcome };
    stored.push(outcome);
  }
  throw new Error("the budget was never full");
}

async function stored(engine: Engine, topic = "t"): Promise<boolean> {
  return (await appendOne(engine, topic)).ok;
}

describe.each(engineKinds())("$name", (kind) => {
  beforeAll(kind.start);
  afterEach(kind.close);
  afterAll(kind.stop);

  it("slows producers of a topic, refuses them, and opens by itself once a work queue is settled", async () => {
    const engine = await kind.open();
    await engine.topics.create("t", { partitions: 1, bytesMax: 50_000, retention: { workQueue: true } });
    await engine.topics.create("other", { partitions: 1 });
    const { ownership } = await ownPartition(engine, "g", "t");
    const filled = await fill(engine);
    expect(filled.refused).toMatchObject({
      error: { code: "topic_full", retryable: true, field: "config.bytes_max", limit: "50000 bytes" },
    });
    expect(filled.stored.length).toBeGreaterThan(40);
    expect(filled.stored.length).toBeLessThan(52);
    const throttles = filled.stored.map((outcome) => (outcome.ok ? (outcome.throttleMs ?? 0) : 0));
    expect(throttles.slice(0, 40)).toEqual(new Array(40).fill(0));
    expect(throttles.at(-1)).toBeGreaterThan(100);
    expect(throttles).toEqual(throttles.toSorted((one, other) => one - other));

    expect(await engine.status()).toMatchObject({ ready: true, reason: "", details: { topics_full: "t" } });
    expect(await stored(engine, "other")).toBe(true);
    const { entries } = await fetchFrom(engine, ownership, 0n);
    expect(entries.length).toBe(filled.stored.length);
    for (const entry of entries.slice(0, 2)) await ack(engine, ownership, entry);
    await expect.poll(async () => (await engine.topics.stats("t"))[0]?.startOffset, { timeout: 5_000 }).toBe(2n);
    expect(await stored(engine)).toBe(false);
    for (const entry of entries.slice(2)) await ack(engine, ownership, entry);
    await expect.poll(() => stored(engine), { timeout: 5_000 }).toBe(true);
    expect((await engine.status()).details["topics_full"]).toBeUndefined();
    expect(await engine.groups.offsets("g")).toMatchObject([{ lostRecords: 0, unsettledRecords: 0 }]);
  });

  it("takes a budget on and off while the topic is used", async () => {
    const engine = await kind.open();
    const made = await engine.topics.create("t", { partitions: 1, bytesMax: 5_000 });
    await fill(engine);
    const freed = await engine.topics.alter("t", {}, made.version);
    expect(freed.config).toEqual({ partitions: 1 });
    expect(await stored(engine)).toBe(true);
    await engine.topics.alter("t", { bytesMax: 1_024 }, freed.version);
    await expect.poll(() => stored(engine)).toBe(false);
    await engine.log.purge({ topic: "t", toOffset: 1_000n });
    await expect.poll(() => stored(engine), { timeout: 5_000 }).toBe(true);
  });

  it("closes a full store to producers and to nobody else, and opens it by itself", async () => {
    const looking = await kind.open();
    await expect.poll(async () => (await looking.status()).ready).toBe(true);
    const { details } = await looking.status();
    const before = Number(details["used_memory_bytes"] ?? details["live_bytes"]);
    const engine = await kind.open({ storeBytesMax: before + 4_000_000 });
    await engine.topics.create("t", { partitions: 1, retention: { workQueue: true } });
    const { ownership } = await ownPartition(engine, "g", "t");
    await expect.poll(async () => (await engine.status()).details["budget_state"]).toBe("open");
    const filled = await fill(engine);
    expect(filled.refused).toMatchObject({ error: { code: "store_full", field: "store_bytes_max" } });
    expect(await engine.status()).toMatchObject({
      ready: true,
      reason: "read-only: store full",
      details: { budget_state: "full", budget_bytes_max: String(before + 4_000_000) },
    });
    let position = 0n;
    while (position < BigInt(filled.stored.length)) {
      const fetched = await fetchFrom(engine, ownership, position);
      position = fetched.position;
      for (const entry of fetched.entries) await ack(engine, ownership, entry);
    }
    await expect.poll(() => stored(engine), { timeout: 10_000 }).toBe(true);
    expect((await engine.status()).reason).toBe("");
  }, 30_000);

  it("refuses a bound that is none", async () => {
    await expect(kind.open({ storeBytesMax: 10 })).rejects.toMatchObject({
      code: "invalid_argument",
      field: "storeBytesMax",
      limit: "1024 bytes or more",
    });
  });
});
