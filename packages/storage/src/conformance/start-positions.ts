import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeEntryMeta } from "@gmq/protocol";
import type { StartPosition } from "../engine.js";
import { present } from "./assertions.js";
import { valuesOf } from "./batches.js";
import { memberOf, startConsumer } from "./consumer.js";
import type { ConformanceSubject } from "./subject.js";

export const startCases: ConformanceSubject = {
  name: "start positions",
  cases: {
    "earliest, latest and offsets at an entry's begin": async ({ topic, store, consume, progress }) => {
      const name = await topic();
      await store(name, [["a", "b", "c"], ["d"], ["e", "f"]]);
      const expected: readonly (readonly [StartPosition, position: bigint, lag: number])[] = [
        ["earliest", 0n, 6],
        ["latest", 6n, 0],
        [{ offset: 0n }, 0n, 6],
        [{ offset: 3n }, 3n, 3],
        [{ offset: 4n }, 4n, 2],
        [{ offset: 6n }, 6n, 0],
        [{ offset: 1_000n }, 6n, 0],
        [{ timestampMs: 0 }, 0n, 6],
        [{ timestampMs: 8_000_000_000_000 }, 6n, 0],
      ];
      for (const [start, position, lag] of expected) {
        const { claimed, group } = await consume(name, {}, start);
        const { pending, endOffset } = claimed;
        assert.deepEqual([claimed.position, endOffset, pending.length], [position, 6n, 0]);
        assert.equal((await progress(group, name)).lagRecords, lag);
      }
    },

    "a time": async ({ topic, append, read, consume }) => {
      const name = await topic();
      for (const value of ["a", "b", "c"]) {
        await append(name, [value]);
        await sleep(5);
      }
      const { entries } = await read(name);
      const { appendTimeMs } = decodeEntryMeta(present(entries[1]).meta);
      assert.equal((await consume(name, {}, { timestampMs: appendTimeMs })).claimed.position, 1n);
    },

    "inside an entry: what lies before is skipped, the rest is pending": async ({
      topic,
      store,
      consume,
      progress,
      read,
    }) => {
      const name = await topic();
      await store(name, [["a"], ["b", "c", "d", "e"], ["f"]]);
      const consumer = await consume(name, {}, { offset: 3n });
      const { position, pending } = consumer.claimed;
      assert.equal(position, 5n);
      assert.deepEqual(
        pending.map(({ baseOffset, recordCount, states }) => [baseOffset, recordCount, states]),
        [[1n, 4, "ss.."]],
      );
      const before = await progress(consumer.group, name);
      assert.deepEqual([before.unsettledRecords, before.lagRecords], [2, 3]);
      const [entry] = (await read(name, { from: { offset: 1n }, entriesMax: 1 })).entries;
      assert.deepEqual(valuesOf(present(entry)), ["b", "c", "d", "e"]);

      const skipped = { firstOffset: 1n, lastOffset: 1n, verb: "retry", delayMs: 0 } as const;
      const [refusal] = await consumer.settle(present(entry), [skipped]);
      assert.equal(refusal?.error.code, "already_settled");
      await consumer.ack([present(entry)]);
      assert.deepEqual((await consumer.claim()).pending, []);
      const [last] = await consumer.fetch();
      assert.deepEqual(valuesOf(present(last)), ["f"]);
      await consumer.ack([present(last)]);
      assert.equal((await progress(consumer.group, name)).lagRecords, 0);
    },

    "hold for the first join that names the topic, not for later ones": async ({ engine, topic, store, unique }) => {
      const [name, later, group] = [await topic(), await topic(), unique("group")];
      await store(name, [["a"], ["b"]]);
      await store(later, [["x"]]);
      await startConsumer(engine, memberOf(group, [name]), { offset: 1n });
      const both = await startConsumer(engine, memberOf(group, [name, later], { incarnation: "life-2" }), "latest");
      assert.equal(both.claimed.position, 1n);
      const offsets = await engine.groups.offsets(group);
      assert.equal(offsets.find((place) => place.topic === later)?.position, 1n);
    },

    "on an empty partition every one of them is its begin": async ({ topic, store, consume }) => {
      const name = await topic();
      const starts: readonly StartPosition[] = ["earliest", "latest", { offset: 5n }, { timestampMs: 0 }];
      const consumers = [];
      for (const start of starts) consumers.push(await consume(name, {}, start));
      await store(name, [["a", "b"]]);
      for (const { claimed, fetch } of consumers) {
        assert.equal(claimed.position, 0n);
        assert.deepEqual((await fetch()).map(valuesOf), [["a", "b"]]);
      }
    },
  },
};
