/** Dead letters when Redis has no room for them. What dead letters mean on every engine is in the conformance suite. */
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OwnRedis, startOwnRedis } from "../../test/redis-server.js";
import { batchOf } from "../conformance/batches.js";
import type { SettleRange } from "../engine.js";
import { createRedisEngine } from "../redis/redis-engine.js";

let server: OwnRedis;
beforeAll(async () => {
  server = await startOwnRedis();
});
afterAll(() => server.stop());

describe("dead letters on a full Redis", () => {
  it("are owed, acks go on, and they are copied when there is room", async () => {
    const engine = await createRedisEngine({ url: server.url, prefix: `t-${randomUUID().slice(0, 8)}` });
    const control = new Redis(server.url);
    try {
      await engine.topics.create("t", { partitions: 1 });
      await engine.topics.create("t.g.dlq", { partitions: 1 });
      await engine.log.append([{ topic: "t", partition: 0, batches: [batchOf(["a", "b"]), batchOf(["c"])] }]);
      const spec = { group: "g", memberId: "m", incarnation: "m-1", clientId: "", clientVersion: "", brokerId: "b" };
      const view = await engine.groups.join(
        { ...spec, topics: ["t"], sessionTimeoutMs: 10_000, staticMember: false },
        "earliest",
      );
      const ownership = { group: "g", topic: "t", partition: 0, memberId: "m", epoch: view.partitions[0]?.epoch ?? 0 };
      await engine.groups.claim(ownership);
      await engine.groups.fetch([{ ownership, position: 0n, bytesMax: 1_000_000, recordsMax: 100 }]);
      const [entry] = (
        await engine.log.read({ topic: "t", partition: 0, from: "earliest", entriesMax: 1, bytesMax: 1 })
      ).entries;
      const recordCount = entry?.recordCount ?? 0;
      const settle = (ranges: readonly SettleRange[]) =>
        engine.groups.settle([{ ownership, entries: [{ baseOffset: 0n, recordCount, ranges }] }]);
      await control.config("SET", "maxmemory", "1mb");
      expect(await settle([{ firstOffset: 0n, lastOffset: 0n, verb: "reject", reason: "bad" }])).toMatchObject([
        { ok: true, refusals: [{ firstOffset: 0n, error: { code: "store_full", retryable: true } }] },
      ]);
      expect(await settle([{ firstOffset: 1n, lastOffset: 1n, verb: "ack" }])).toEqual([{ ok: true, refusals: [] }]);
      expect((await engine.groups.claim({ ...ownership, epoch: ownership.epoch + 1 })).pending[0]?.states).toMatch(
        /^xa/,
      );
      await control.config("SET", "maxmemory", "0");
      const stats = () => engine.topics.stats("t.g.dlq");
      await expect.poll(async () => (await stats())[0]?.endOffset, { timeout: 20_000 }).toBe(1n);
      await expect
        .poll(async () => (await engine.groups.progress("g", ownership))?.pending[0]?.states ?? "", { timeout: 10_000 })
        .not.toContain("x");
    } finally {
      await control.config("SET", "maxmemory", "0");
      control.disconnect();
      await engine.close();
    }
  });
});
