/** Several storage processes over one Redis: each takes into account what another appended, whatever it knew before. */
import { describe, expect, it } from "vitest";
import type { AppendOutcome } from "../src/engine.js";
import { append, recordsIn } from "./engines.js";
import { useRedisEngines } from "./redis-engines.js";

const redis = useRedisEngines();

/** Connections that listen to a pattern. */
async function listening(): Promise<number> {
  const clients = String(await redis.control.call("CLIENT", "LIST", "TYPE", "pubsub"));
  return clients.split("\n").filter((line) => / psub=[1-9]/.test(line)).length;
}

describe("two storage processes at one partition", () => {
  it("never store two entries at one offset, and store each idempotent batch once", async () => {
    const [one, other] = [await redis.openWithTopic(), await redis.open()];
    const sends: Promise<AppendOutcome>[] = [];
    for (let round = 0; round < 200; round++) {
      sends.push(append(one, "t", [`a${round}`]), append(other, "t", [`b${round}`, `c${round}`]));
      if (round % 10 === 9) await Promise.all(sends);
    }
    const outcomes = await Promise.all(sends);
    const firsts = outcomes.map((outcome) => (outcome.ok ? outcome.firstOffset : -1n));
    expect(firsts).not.toContain(-1n);
    expect(new Set(firsts).size).toBe(400);
    const stored = await recordsIn(one, "t");
    expect(stored.map(({ offset }) => offset)).toEqual(Array.from({ length: 600 }, (_, index) => BigInt(index)));
  });

  it("know each other's producers", async () => {
    const [one, other] = [await redis.openWithTopic(), await redis.open()];
    const identity = { producerId: 7n, producerEpoch: 1, firstSequence: 0n };
    expect(await append(one, "t", ["x", "y"], identity)).toMatchObject({ ok: true, firstOffset: 0n, duplicate: false });
    expect(await append(other, "t", ["x", "y"], identity)).toMatchObject({
      ok: true,
      firstOffset: 0n,
      duplicate: true,
    });
    expect(await append(other, "t", ["z"], { ...identity, firstSequence: 2n })).toMatchObject({
      ok: true,
      firstOffset: 2n,
    });
    expect(await append(one, "t", ["z"], { ...identity, firstSequence: 5n })).toMatchObject({
      ok: false,
      error: { code: "out_of_order" },
    });
    expect(await append(one, "t", ["z"], { ...identity, producerEpoch: 0 })).toMatchObject({
      ok: false,
      error: { code: "producer_fenced" },
    });
  });

  it("hear each other's signals", async () => {
    const [one, other] = [await redis.openWithTopic(), await redis.open()];
    await expect.poll(async () => (await other.status()).ready).toBe(true);
    const heard: bigint[] = [];
    let resyncs = 0;
    other.signals.subscribe((signal) => {
      if (signal.kind === "partition") heard.push(signal.endOffset);
      if (signal.kind === "resync") resyncs++;
    });
    await expect.poll(listening).toBe(2);
    await append(one, "t", ["x"]);
    await expect.poll(() => heard).toContain(1n);
    await redis.control.call("CLIENT", "KILL", "TYPE", "pubsub");
    await expect.poll(() => resyncs).toBeGreaterThanOrEqual(1);
    await expect.poll(listening).toBe(2);
    await append(one, "t", ["y"]);
    await expect.poll(() => heard).toContain(2n);
  });
});

describe("two writers", () => {
  it("ask the log before they refuse a gap: the other one may have filled it", async () => {
    const [one, other] = [await redis.openWithTopic(), await redis.open()];
    const identity = { producerId: 9n };
    expect(await append(one, "t", ["a"], identity)).toMatchObject({ ok: true, firstOffset: 0n });
    expect(await append(other, "t", ["b"], { ...identity, firstSequence: 1n })).toMatchObject({
      ok: true,
      firstOffset: 1n,
    });
    expect(await append(other, "t", ["c"], { ...identity, firstSequence: 2n })).toMatchObject({
      ok: true,
      firstOffset: 2n,
    });
    expect(await append(one, "t", ["d"], { ...identity, firstSequence: 3n })).toMatchObject({
      ok: true,
      firstOffset: 3n,
    });
    expect(await append(one, "t", ["f"], { ...identity, firstSequence: 5n })).toMatchObject({
      ok: false,
      error: { code: "out_of_order" },
    });
    const young = { producerId: 10n, firstSequence: 1n };
    expect(await append(one, "t", ["y"], young)).toMatchObject({ ok: false, error: { code: "out_of_order" } });
  });
});

describe("a process that hears of a topic for the first time", () => {
  it("keeps the order of appends while it looks the topic up", async () => {
    await redis.openWithTopic();
    for (let round = 0; round < 20; round++) {
      const fresh = await redis.open();
      await expect.poll(async () => (await fresh.status()).ready).toBe(true);
      const first = append(fresh, "t", [`${round}`]);
      const [, second] = await Promise.all([
        first,
        fresh.topics.get("t").then(() => append(fresh, "t", [`${round}`, "later"])),
      ]);
      const outcomes = [await first, second].map((outcome) => (outcome.ok ? outcome.firstOffset : -1n));
      expect(outcomes).toEqual([BigInt(round * 3), BigInt(round * 3 + 1)]);
    }
  });
});
