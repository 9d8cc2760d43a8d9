import { GmqError } from "@gmq/protocol";
import { describe, expect, it } from "vitest";
import { useRedisEngines } from "../../test/redis-engines.js";
import { batchOf } from "../conformance/batches.js";
import type { AppendOutcome, Engine, EntrySettle, Ownership } from "../engine.js";
import { createRedisEngine } from "./redis-engine.js";

const redis = useRedisEngines(["--appendonly", "yes", "--appendfsync", "always"]);

async function openWithTopic(partitions = 1): Promise<Engine> {
  const engine = await redis.open();
  await engine.topics.create("t", { partitions });
  return engine;
}

async function append(engine: Engine, values: readonly string[], identity = {}): Promise<AppendOutcome> {
  const outcomes = await engine.log.append([{ topic: "t", partition: 0, batches: [batchOf(values, identity)] }]);
  return outcomes[0]?.[0] as AppendOutcome;
}

/** Every record of the partition, in order: offset and first value byte count are enough to find holes and doubles. */
async function offsets(engine: Engine): Promise<bigint[]> {
  const found: bigint[] = [];
  let from = 0n;
  for (;;) {
    const { entries, endOffset } = await engine.log.read({
      topic: "t",
      partition: 0,
      from: { offset: from },
      entriesMax: 500,
      bytesMax: 8_000_000,
    });
    for (const { baseOffset, recordCount } of entries) {
      for (let index = 0; index < recordCount; index++) found.push(baseOffset + BigInt(index));
      from = baseOffset + BigInt(recordCount);
    }
    if (entries.length === 0 || from >= endOffset) return found;
  }
}

/** Connections that listen to a pattern. */
async function listening(): Promise<number> {
  const clients = String(await redis.control.call("CLIENT", "LIST", "TYPE", "pubsub"));
  return clients.split("\n").filter((line) => / psub=[1-9]/.test(line)).length;
}

async function own(engine: Engine, memberId: string): Promise<Ownership> {
  await engine.groups.join(
    {
      group: "g",
      memberId,
      incarnation: `${memberId}-1`,
      clientId: "c",
      clientVersion: "1",
      brokerId: "b",
      topics: ["t"],
      sessionTimeoutMs: 10_000,
      staticMember: false,
    },
    "earliest",
  );
  const view = await engine.groups.get("g");
  const mine = view?.partitions.find((partition) => partition.memberId === memberId);
  if (mine === undefined) throw new Error("the partition is not ours");
  return { group: "g", topic: "t", partition: 0, memberId, epoch: mine.epoch };
}

describe("two storage processes at one partition", () => {
  it("never store two entries at one offset, and store each idempotent batch once", async () => {
    const [one, other] = [await openWithTopic(), await redis.open()];
    const sends: Promise<AppendOutcome>[] = [];
    for (let round = 0; round < 200; round++) {
      sends.push(append(one, [`a${round}`]), append(other, [`b${round}`, `c${round}`]));
      if (round % 10 === 9) await Promise.all(sends);
    }
    const outcomes = await Promise.all(sends);
    const firsts = outcomes.map((outcome) => (outcome.ok ? outcome.firstOffset : -1n));
    expect(firsts).not.toContain(-1n);
    expect(new Set(firsts).size).toBe(400);
    expect(await offsets(one)).toEqual(Array.from({ length: 600 }, (_, index) => BigInt(index)));
  });

  it("know each other's producers", async () => {
    const [one, other] = [await openWithTopic(), await redis.open()];
    const identity = { producerId: 7n, producerEpoch: 1, firstSequence: 0n };
    expect(await append(one, ["x", "y"], identity)).toMatchObject({ ok: true, firstOffset: 0n, duplicate: false });
    expect(await append(other, ["x", "y"], identity)).toMatchObject({ ok: true, firstOffset: 0n, duplicate: true });
    expect(await append(other, ["z"], { ...identity, firstSequence: 2n })).toMatchObject({ ok: true, firstOffset: 2n });
    expect(await append(one, ["z"], { ...identity, firstSequence: 5n })).toMatchObject({
      ok: false,
      error: { code: "out_of_order" },
    });
    expect(await append(one, ["z"], { ...identity, producerEpoch: 0 })).toMatchObject({
      ok: false,
      error: { code: "producer_fenced" },
    });
  });

  it("hear each other's signals", async () => {
    const [one, other] = [await openWithTopic(), await redis.open()];
    await expect.poll(async () => (await other.status()).ready).toBe(true);
    const heard: bigint[] = [];
    let resyncs = 0;
    other.signals.subscribe((signal) => {
      if (signal.kind === "partition") heard.push(signal.endOffset);
      if (signal.kind === "resync") resyncs++;
    });
    await expect.poll(listening).toBe(2);
    await append(one, ["x"]);
    await expect.poll(() => heard).toContain(1n);
    await redis.control.call("CLIENT", "KILL", "TYPE", "pubsub");
    await expect.poll(() => resyncs).toBeGreaterThanOrEqual(1);
    await expect.poll(listening).toBe(2);
    await append(one, ["y"]);
    await expect.poll(() => heard).toContain(2n);
  });
});

describe("a follow", () => {
  it("is given each record once, in order, whoever appended it, and while connections and scripts are lost", async () => {
    const [one, other] = [await openWithTopic(), await redis.open()];
    const member = {
      group: "g",
      memberId: "m",
      incarnation: "i",
      clientId: "test",
      clientVersion: "1.0",
      brokerId: "b",
      topics: ["t"],
      sessionTimeoutMs: 60_000,
      staticMember: false,
    };
    const { partitions } = await one.groups.join(member, "earliest");
    const epoch = partitions[0]?.epoch ?? 0;
    const ownership: Ownership = { group: "g", topic: "t", partition: 0, memberId: "m", epoch };
    await one.groups.claim(ownership);
    const given: bigint[] = [];
    let position = 0n;
    let isClosing = false;
    let stop: (() => void) | undefined;
    // As a broker does it: what may have been handed out with a lost answer is asked for again from where it stands.
    const follow = (): void => {
      stop = one.groups.follow?.(
        { ownership, position, bytesMax: 100_000, recordsMax: 40 },
        {
          fetched(fetched) {
            for (const entry of fetched.entries)
              for (let index = 0; index < entry.recordCount; index++) given.push(entry.baseOffset + BigInt(index));
            position = fetched.position;
          },
          ended: () => void (isClosing || setTimeout(follow, 20)),
        },
      );
    };
    follow();
    let stored = 0;
    for (let round = 0; round < 120; round++) {
      if (round % 40 === 20) await redis.control.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      if (round % 40 === 30) await redis.control.call("SCRIPT", "FLUSH");
      for (const engine of [one, other]) {
        const identity = { producerId: engine === one ? 1n : 2n, producerEpoch: 1, firstSequence: BigInt(round) };
        await expect.poll(async () => (await append(engine, ["x"], identity)).ok).toBe(true);
        stored++;
      }
    }
    // A hint that was lost with a connection is made up for by the next look, which is a broker's safety timer.
    await expect
      .poll(async () => {
        if (given.length < stored) await append(other, ["x"]).then(() => stored++);
        return given.length === stored;
      })
      .toBe(true);
    isClosing = true;
    stop?.();
    expect(given).toEqual(Array.from({ length: stored }, (_, index) => BigInt(index)));
  });
});

describe("a connection that breaks", () => {
  it("loses and doubles nothing while clients are killed under load", async () => {
    const engine = await openWithTopic();
    let killing = true;
    let rounds = 0;
    const killer = (async () => {
      while (killing) {
        const before = rounds;
        await redis.control.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        // On a busy machine a connection takes longer than this to be made: none would ever live.
        do await new Promise((resolve) => setTimeout(resolve, 15));
        while (killing && rounds === before);
      }
    })();
    const acknowledged: bigint[] = [];
    let refused = 0;
    for (let round = 0; round < 150; round++) {
      const results = await Promise.all([append(engine, [`${round}`]), append(engine, [`${round}`, "more"])]);
      for (const result of results) {
        if (result.ok) acknowledged.push(result.firstOffset);
        else refused++;
      }
      rounds++;
    }
    killing = false;
    await killer;
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    expect(acknowledged.length).toBeGreaterThan(0);
    const stored = new Set(await offsets(engine));
    for (const offset of acknowledged) expect(stored.has(offset)).toBe(true);
    // Batches without a producer id are found again by their append id: none is stored twice, and only unanswered ones are extra.
    expect(stored.size).toBeLessThanOrEqual(450);
    expect(refused).toBeLessThan(300);
  }, 120_000);

  it("answers store_unavailable while Redis is down and goes on by itself", async () => {
    const engine = await openWithTopic();
    expect(await append(engine, ["before"])).toMatchObject({ ok: true, firstOffset: 0n });
    await redis.server.kill();
    const refused = await append(engine, ["during"]);
    expect(refused.ok).toBe(false);
    if (!refused.ok) expect(["store_unavailable", "unknown_outcome"]).toContain(refused.error.code);
    expect(await engine.status()).toMatchObject({ ready: false });
    await expect(engine.topics.list()).rejects.toSatisfy((error) => GmqError.is(error, "store_unavailable"));
    await redis.server.start();
    await expect.poll(async () => (await engine.status()).ready, { timeout: 10_000 }).toBe(true);
    expect(await append(engine, ["after"])).toMatchObject({ ok: true });
    expect((await offsets(engine)).length).toBe(2);
  });

  it("goes on after SCRIPT FLUSH", async () => {
    const engine = await openWithTopic();
    await append(engine, ["a"]);
    const ownership = await own(engine, "m1");
    await engine.groups.claim(ownership);
    await redis.control.script("FLUSH");
    const fetched = await engine.groups.fetch([{ ownership, position: 0n, bytesMax: 1_000_000, recordsMax: 100 }]);
    expect(fetched[0]).toMatchObject({ ok: true, position: 1n });
  });
});

describe("what redis-cli shows", () => {
  it("is one entry a batch, and the pending list of the owner", async () => {
    const engine = await openWithTopic();
    await append(engine, ["a", "b", "c"]);
    const log = `${redis.prefix}:{t/0}:log`;
    expect(await redis.control.xlen(log)).toBe(1);
    const ownership = await own(engine, "m1");
    await engine.groups.claim(ownership);
    await engine.groups.fetch([{ ownership, position: 0n, bytesMax: 1_000_000, recordsMax: 100 }]);
    expect(await redis.control.xpending(log, "g")).toEqual([1, "0-1", "0-1", [["m1", "1"]]]);
    const range = { firstOffset: 0n, lastOffset: 2n, verb: "ack" as const };
    await engine.groups.settle([{ ownership, entries: [{ baseOffset: 0n, recordCount: 3, ranges: [range] }] }]);
    expect(await redis.control.xpending(log, "g")).toEqual([0, null, null, null]);
    await engine.topics.delete("t");
    expect(await redis.control.keys(`${redis.prefix}:{t/*`)).toEqual([]);
  });
});

describe("Redis at maxmemory", () => {
  it("refuses appends with store_full, lets consumers go on and drains by itself", async () => {
    const engine = await openWithTopic();
    const big = "x".repeat(100_000);
    for (let index = 0; index < 5; index++) expect((await append(engine, [big])).ok).toBe(true);
    const ownership = await own(engine, "m1");
    await engine.groups.claim(ownership);
    try {
      await redis.control.config("SET", "maxmemory", "1mb");
      expect(await append(engine, ["no room"])).toMatchObject({ ok: false, error: { code: "store_full" } });
      const [fetched] = await engine.groups.fetch([{ ownership, position: 0n, bytesMax: 4_000_000, recordsMax: 100 }]);
      expect(fetched).toMatchObject({ ok: true, position: 5n });
      const entries = [0n, 1n, 2n, 3n, 4n].map((offset) => ({
        baseOffset: offset,
        recordCount: 1,
        ranges: [{ firstOffset: offset, lastOffset: offset, verb: "ack" as const }],
      }));
      expect(await engine.groups.settle([{ ownership, entries }])).toEqual([{ ok: true, refusals: [] }]);
      const alive = await engine.groups.heartbeat([
        { group: "g", memberId: "m1", incarnation: "m1-1", sessionTimeoutMs: 10_000 },
      ]);
      expect(alive[0]).toMatchObject({ fenced: false });
    } finally {
      await redis.control.config("SET", "maxmemory", "0");
    }
    await expect.poll(() => append(engine, ["room"]), { timeout: 10_000 }).toMatchObject({ ok: true });
  });
});

describe("a long pending list", () => {
  it("is handed out and settled in more than one script call", async () => {
    const engine = await openWithTopic();
    const ownership = await own(engine, "m1");
    await engine.groups.claim(ownership);
    const count = 2_300;
    for (let at = 0; at < count; at++) await append(engine, ["v"]);
    const entries: EntrySettle[] = [];
    for (let position = 0n; position < count; ) {
      const [got] = await engine.groups.fetch([{ ownership, position, bytesMax: 1_000_000, recordsMax: 10_000 }]);
      if (got?.ok !== true) throw got?.error ?? new Error("no answer");
      for (const { baseOffset, recordCount } of got.entries) {
        const range = { firstOffset: baseOffset, lastOffset: baseOffset, verb: "ack" as const };
        entries.push({ baseOffset, recordCount, ranges: [range] });
      }
      position = got.position;
    }
    expect(entries.length).toBe(count);
    const other = { ...ownership, memberId: "m2", epoch: ownership.epoch + 1 };
    expect((await engine.groups.claim(other)).pending.length).toBe(count);
    expect(await engine.groups.settle([{ ownership: other, entries }])).toEqual([{ ok: true, refusals: [] }]);
    expect((await engine.groups.claim(other)).pending).toEqual([]);
  });
});

describe("a process that hears of a topic for the first time", () => {
  it("keeps the order of appends while it looks the topic up", async () => {
    await openWithTopic();
    for (let round = 0; round < 20; round++) {
      const fresh = await redis.open();
      await expect.poll(async () => (await fresh.status()).ready).toBe(true);
      const first = append(fresh, [`${round}`]);
      const [, second] = await Promise.all([
        first,
        fresh.topics.get("t").then(() => append(fresh, [`${round}`, "later"])),
      ]);
      const outcomes = [await first, second].map((outcome) => (outcome.ok ? outcome.firstOffset : -1n));
      expect(outcomes).toEqual([BigInt(round * 3), BigInt(round * 3 + 1)]);
    }
  });
});

describe("a store that lost its tail", () => {
  it("does not let an owner read on past what it has forgotten, and gives it again after a claim", async () => {
    const engine = await openWithTopic();
    for (const value of ["a", "b", "c"]) await append(engine, [value]);
    const ownership = await own(engine, "m1");
    await engine.groups.claim(ownership);
    const request = { ownership, bytesMax: 1_000, recordsMax: 100 };
    expect(await engine.groups.fetch([{ ...request, position: 0n }])).toMatchObject([{ ok: true, position: 3n }]);
    // As after a crash that lost the last second: the records are there, that two of them were handed out is not.
    const side = `${redis.prefix}:{t/0}`;
    await redis.control.hset(`${side}:group:g`, "position", "1", "unsettled", "1");
    await redis.control.hdel(`${side}:pending:g`, "1", "2");
    await append(engine, ["d"]);
    expect(await engine.groups.fetch([{ ...request, position: 3n }])).toMatchObject([
      { ok: false, error: { code: "fenced", field: "position" } },
    ]);
    expect(await engine.groups.claim(ownership)).toMatchObject({ position: 1n, pending: [{ baseOffset: 0n }] });
    const [again] = await engine.groups.fetch([{ ...request, position: 1n }]);
    expect(again?.ok === true && again.entries.map(({ baseOffset }) => baseOffset)).toEqual([1n, 2n, 3n]);
  });
});

describe("two writers", () => {
  it("ask the log before they refuse a gap: the other one may have filled it", async () => {
    const [one, other] = [await openWithTopic(), await redis.open()];
    const identity = { producerId: 9n };
    expect(await append(one, ["a"], identity)).toMatchObject({ ok: true, firstOffset: 0n });
    expect(await append(other, ["b"], { ...identity, firstSequence: 1n })).toMatchObject({ ok: true, firstOffset: 1n });
    expect(await append(other, ["c"], { ...identity, firstSequence: 2n })).toMatchObject({ ok: true, firstOffset: 2n });
    expect(await append(one, ["d"], { ...identity, firstSequence: 3n })).toMatchObject({ ok: true, firstOffset: 3n });
    expect(await append(one, ["f"], { ...identity, firstSequence: 5n })).toMatchObject({
      ok: false,
      error: { code: "out_of_order" },
    });
    const young = { producerId: 10n, firstSequence: 1n };
    expect(await append(one, ["y"], young)).toMatchObject({ ok: false, error: { code: "out_of_order" } });
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
