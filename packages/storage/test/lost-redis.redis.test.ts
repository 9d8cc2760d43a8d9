/** A Redis that loses connections, scripts, itself or its last second in the middle of traffic: nothing else is lost or doubled, and engines go on by themselves. */
import { GmqError } from "@gmq/protocol";
import { describe, expect, it } from "vitest";
import { append, fetchFrom, ownPartition, recordsIn } from "./engines.js";
import { useRedisEngines } from "./redis-engines.js";

const redis = useRedisEngines(["--appendonly", "yes", "--appendfsync", "always"]);

describe("a follow", () => {
  it("is given each record once, in order, whoever appended it, and while connections and scripts are lost", async () => {
    const [one, other] = [await redis.openWithTopic(), await redis.open()];
    const { ownership } = await ownPartition(one, "g", "t");
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
        await expect.poll(async () => (await append(engine, "t", ["x"], identity)).ok).toBe(true);
        stored++;
      }
    }
    // A hint that was lost with a connection is made up for by the next look, which is a broker's safety timer.
    await expect
      .poll(async () => {
        if (given.length < stored) await append(other, "t", ["x"]).then(() => stored++);
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
    const engine = await redis.openWithTopic();
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
      const results = await Promise.all([append(engine, "t", [`${round}`]), append(engine, "t", [`${round}`, "more"])]);
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
    const stored = new Set((await recordsIn(engine, "t")).map(({ offset }) => offset));
    for (const offset of acknowledged) expect(stored.has(offset)).toBe(true);
    // Batches without a producer id are found again by their append id: none is stored twice, and only unanswered ones are extra.
    expect(stored.size).toBeLessThanOrEqual(450);
    expect(refused).toBeLessThan(300);
  }, 120_000);

  it("answers store_unavailable while Redis is down and goes on by itself", async () => {
    const engine = await redis.openWithTopic();
    expect(await append(engine, "t", ["before"])).toMatchObject({ ok: true, firstOffset: 0n });
    await redis.server.kill();
    const refused = await append(engine, "t", ["during"]);
    expect(refused.ok).toBe(false);
    if (!refused.ok) expect(["store_unavailable", "unknown_outcome"]).toContain(refused.error.code);
    expect(await engine.status()).toMatchObject({ ready: false });
    await expect(engine.topics.list()).rejects.toSatisfy((error) => GmqError.is(error, "store_unavailable"));
    await redis.server.start();
    await expect.poll(async () => (await engine.status()).ready, { timeout: 10_000 }).toBe(true);
    expect(await append(engine, "t", ["after"])).toMatchObject({ ok: true });
    expect(await recordsIn(engine, "t")).toHaveLength(2);
  });

  it("goes on after SCRIPT FLUSH", async () => {
    const engine = await redis.openWithTopic();
    await append(engine, "t", ["a"]);
    const { ownership, position } = await ownPartition(engine, "g", "t");
    await redis.control.script("FLUSH");
    expect(await fetchFrom(engine, ownership, position)).toMatchObject({ position: 1n });
  });
});

describe("a store that lost its tail", () => {
  it("does not let an owner read on past what it has forgotten, and gives it again after a claim", async () => {
    const engine = await redis.openWithTopic();
    for (const value of ["a", "b", "c"]) await append(engine, "t", [value]);
    const { ownership, position } = await ownPartition(engine, "g", "t");
    expect(await fetchFrom(engine, ownership, position)).toMatchObject({ position: 3n });
    // As after a crash that lost the last second: the records are there, that two of them were handed out is not.
    const side = `${redis.prefix}:{t/0}`;
    await redis.control.hset(`${side}:group:g`, "position", "1", "unsettled", "1");
    await redis.control.hdel(`${side}:pending:g`, "1", "2");
    await append(engine, "t", ["d"]);
    await expect(fetchFrom(engine, ownership, 3n)).rejects.toMatchObject({ code: "fenced", field: "position" });
    expect(await engine.groups.claim(ownership)).toMatchObject({ position: 1n, pending: [{ baseOffset: 0n }] });
    const again = await fetchFrom(engine, ownership, 1n);
    expect(again.entries.map(({ baseOffset }) => baseOffset)).toEqual([1n, 2n, 3n]);
  });
});
