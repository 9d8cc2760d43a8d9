/** What an engine leaves in Redis for whoever looks at it there, and which settings and stores it refuses. */
import { describe, expect, it } from "vitest";
import { append, fetchFrom, ownPartition } from "../../test/engines.js";
import { useRedisEngines } from "../../test/redis-engines.js";
import { wholly } from "../conformance/consumer.js";
import type { EntrySettle } from "../engine.js";
import { createRedisEngine } from "./redis-engine.js";

const redis = useRedisEngines();

describe("what redis-cli shows", () => {
  it("is one entry a batch, and the pending list of the owner", async () => {
    const engine = await redis.openWithTopic();
    await append(engine, "t", ["a", "b", "c"]);
    const log = `${redis.prefix}:{t/0}:log`;
    expect(await redis.control.xlen(log)).toBe(1);
    const { ownership, position } = await ownPartition(engine, "g", "t");
    const { entries } = await fetchFrom(engine, ownership, position);
    expect(await redis.control.xpending(log, "g")).toEqual([1, "0-1", "0-1", [[ownership.memberId, "1"]]]);
    await engine.groups.settle([{ ownership, entries: entries.map(wholly) }]);
    expect(await redis.control.xpending(log, "g")).toEqual([0, null, null, null]);
    await engine.topics.delete("t");
    expect(await redis.control.keys(`${redis.prefix}:{t/*`)).toEqual([]);
  });
});

describe("a long pending list", () => {
  it("is handed out and settled in more than one script call", async () => {
    const engine = await redis.openWithTopic();
    const { ownership } = await ownPartition(engine, "g", "t");
    const count = 2_300;
    for (let at = 0; at < count; at++) await append(engine, "t", ["v"]);
    const entries: EntrySettle[] = [];
    for (let position = 0n; position < count; ) {
      const got = await fetchFrom(engine, ownership, position);
      entries.push(...got.entries.map(wholly));
      position = got.position;
    }
    expect(entries.length).toBe(count);
    const other = { ...ownership, memberId: "m2", epoch: ownership.epoch + 1 };
    expect((await engine.groups.claim(other)).pending.length).toBe(count);
    expect(await engine.groups.settle([{ ownership: other, entries }])).toEqual([{ ok: true, refusals: [] }]);
    expect((await engine.groups.claim(other)).pending).toEqual([]);
  });
});

describe("options", () => {
  it("are refused by name", async () => {
    await expect(createRedisEngine({ url: "http://localhost" })).rejects.toMatchObject({
      code: "invalid_argument",
      field: "url",
    });
    await expect(createRedisEngine({ prefix: "a:b" })).rejects.toMatchObject({ field: "prefix" });
  });

  it("do not open a store that a newer GMQ wrote", async () => {
    await redis.control.set(`${redis.prefix}:format`, "99");
    const engine = await redis.open();
    await expect.poll(async () => (await engine.status()).reason).toMatch(/format 99/);
    await expect(engine.topics.list()).rejects.toMatchObject({ code: "store_unavailable" });
  });
});
