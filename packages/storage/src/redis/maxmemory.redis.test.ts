/** Redis with maxmemory and noeviction: producers are slowed, then refused; consumers and trims go on, and it drains by itself. */
import { describe, expect, it } from "vitest";
import { ack, append, fetchFrom, ownPartition } from "../../test/engines.js";
import { useRedisEngines } from "../../test/redis-engines.js";
import { wholly } from "../conformance/consumer.js";

const large = "x".repeat(10_000);

describe("a Redis that is started with maxmemory", () => {
  const redis = useRedisEngines(["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]);

  it("fills up, refuses with store_full, drains as a work queue is settled, and takes records again", async () => {
    const engine = await redis.open();
    await engine.topics.create("t", { partitions: 1, retention: { workQueue: true } });
    const { ownership } = await ownPartition(engine, "g", "t");
    await expect.poll(async () => (await engine.status()).details["budget_state"]).toBe("open");
    let position = 0n;
    for (let round = 0; round < 2; round++) {
      let stored = 0;
      let throttled = 0;
      for (;;) {
        const outcome = await append(engine, "t", [large]);
        if (!outcome.ok) {
          expect(outcome).toMatchObject({ error: { code: "store_full", retryable: true } });
          break;
        }
        stored++;
        if ((outcome.throttleMs ?? 0) > 0) throttled++;
        expect(stored).toBeLessThan(2_000);
      }
      expect(stored).toBeGreaterThan(100);
      expect(throttled).toBeGreaterThan(0);
      expect(await engine.status()).toMatchObject({ ready: true, reason: "read-only: store full" });
      const until = position + BigInt(stored);
      while (position < until) {
        const fetched = await fetchFrom(engine, ownership, position);
        position = fetched.position;
        for (const entry of fetched.entries) await ack(engine, ownership, entry);
      }
      await expect.poll(async () => (await append(engine, "t", [large])).ok, { timeout: 15_000 }).toBe(true);
      const behind = await fetchFrom(engine, ownership, position);
      position = behind.position;
      for (const entry of behind.entries) await ack(engine, ownership, entry);
    }
    expect(await engine.groups.offsets("g")).toMatchObject([{ lostRecords: 0, lagRecords: 0 }]);
  }, 60_000);
});

describe("a Redis whose maxmemory is set at run time", () => {
  const redis = useRedisEngines();

  it("is found full with the first refusal, and says so", async () => {
    // The janitor's own look would come too late.
    const engine = await redis.open({ retentionIntervalMs: 600_000 });
    try {
      await engine.topics.create("t", { partitions: 1 });
      expect(await append(engine, "t", [large])).toMatchObject({ ok: true });
      expect((await engine.status()).details["budget_state"]).toBeUndefined();
      await redis.control.config("SET", "maxmemory", "200000");
      expect(await append(engine, "t", [large])).toMatchObject({ error: { code: "store_full" } });
      // At once, before anything is measured.
      expect(await engine.status()).toMatchObject({ ready: true, reason: "read-only: store full" });
      await expect
        .poll(async () => (await engine.status()).details, { timeout: 15_000 })
        .toMatchObject({ budget_state: "full", budget_bytes_max: "200000" });
      await redis.control.config("SET", "maxmemory", "0");
      await expect.poll(async () => (await engine.status()).reason, { timeout: 15_000 }).toBe("");
      expect(await append(engine, "t", [large])).toMatchObject({ ok: true });
    } finally {
      await redis.control.config("SET", "maxmemory", "0");
    }
  }, 60_000);

  it("refuses appends with store_full, lets consumers go on and drains by itself", async () => {
    const engine = await redis.openWithTopic();
    for (let index = 0; index < 5; index++)
      expect(await append(engine, "t", ["x".repeat(100_000)])).toMatchObject({ ok: true });
    const { ownership, position } = await ownPartition(engine, "g", "t");
    try {
      await redis.control.config("SET", "maxmemory", "1mb");
      expect(await append(engine, "t", ["no room"])).toMatchObject({ ok: false, error: { code: "store_full" } });
      const fetched = await fetchFrom(engine, ownership, position);
      expect(fetched.position).toBe(5n);
      const entries = fetched.entries.map(wholly);
      expect(await engine.groups.settle([{ ownership, entries }])).toEqual([{ ok: true, refusals: [] }]);
      const { group, memberId } = ownership;
      const beat = { group, memberId, incarnation: `${memberId}-1`, sessionTimeoutMs: 10_000 };
      expect(await engine.groups.heartbeat([beat])).toMatchObject([{ fenced: false }]);
    } finally {
      await redis.control.config("SET", "maxmemory", "0");
    }
    await expect.poll(() => append(engine, "t", ["room"]), { timeout: 10_000 }).toMatchObject({ ok: true });
  });
});
