/** Dead letters when Redis has no room for them. What dead letters mean on every engine is in the conformance suite. */
import { describe, expect, it } from "vitest";
import { fetchFrom, ownPartition } from "../../test/engines.js";
import { useRedisEngines } from "../../test/redis-engines.js";
import { batchOf } from "../conformance/batches.js";
import type { SettleRange } from "../engine.js";

const redis = useRedisEngines();

describe("dead letters on a full Redis", () => {
  it("are owed, acks go on, and they are copied when there is room", async () => {
    const engine = await redis.openWithTopic();
    await engine.topics.create("t.g.dlq", { partitions: 1 });
    await engine.log.append([{ topic: "t", partition: 0, batches: [batchOf(["a", "b"]), batchOf(["c"])] }]);
    const { ownership, position } = await ownPartition(engine, "g", "t");
    const { entries } = await fetchFrom(engine, ownership, position);
    const recordCount = entries[0]?.recordCount ?? 0;
    const settle = (ranges: readonly SettleRange[]) =>
      engine.groups.settle([{ ownership, entries: [{ baseOffset: 0n, recordCount, ranges }] }]);
    try {
      await redis.control.config("SET", "maxmemory", "1mb");
      expect(await settle([{ firstOffset: 0n, lastOffset: 0n, verb: "reject", reason: "bad" }])).toMatchObject([
        { ok: true, refusals: [{ firstOffset: 0n, error: { code: "store_full", retryable: true } }] },
      ]);
      expect(await settle([{ firstOffset: 1n, lastOffset: 1n, verb: "ack" }])).toEqual([{ ok: true, refusals: [] }]);
      const next = { ...ownership, epoch: ownership.epoch + 1 };
      expect((await engine.groups.claim(next)).pending[0]?.states).toMatch(/^xa/);
      await redis.control.config("SET", "maxmemory", "0");
      const stats = () => engine.topics.stats("t.g.dlq");
      await expect.poll(async () => (await stats())[0]?.endOffset, { timeout: 20_000 }).toBe(1n);
      await expect
        .poll(async () => (await engine.groups.progress("g", ownership))?.pending[0]?.states ?? "", { timeout: 10_000 })
        .not.toContain("x");
    } finally {
      await redis.control.config("SET", "maxmemory", "0");
    }
  });
});
