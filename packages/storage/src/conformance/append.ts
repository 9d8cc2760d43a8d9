import assert from "node:assert/strict";
import { decodeEntryMeta, limits } from "@gmq/protocol";
import type { AppendOutcome } from "../engine.js";
import { accepted, present } from "./assertions.js";
import { batchOf, valuesOf } from "./batches.js";
import type { ConformanceSubject } from "./subject.js";

export const appendCases: ConformanceSubject = {
  name: "append",
  cases: {
    "gives each batch the offset after the one before": async ({ engine, topic, values }) => {
      const name = await topic();
      const batches = [batchOf(["a", "b", "c"]), batchOf(["d"]), batchOf(["e", "f"])];
      const [outcomes] = await engine.log.append([{ topic: name, partition: 0, batches }]);
      const firsts = present(outcomes).map((outcome) => accepted(outcome).firstOffset);
      assert.deepEqual(firsts, [0n, 3n, 4n]);
      assert.ok(present(outcomes).every((outcome) => !accepted(outcome).duplicate));
      assert.deepEqual(await values(name), ["a", "b", "c", "d", "e", "f"]);
    },

    "answers in the shape of the call, over topics and partitions": async ({ engine, topic, unique, read }) => {
      const [one, other, missing] = [await topic(2), await topic(), unique("topic")];
      const outcomes = await engine.log.append([
        { topic: one, partition: 1, batches: [batchOf(["a"]), batchOf(["b"])] },
        { topic: missing, partition: 0, batches: [batchOf(["x"])] },
        { topic: other, partition: 0, batches: [] },
        { topic: one, partition: 2, batches: [batchOf(["x"]), batchOf(["y"])] },
        { topic: other, partition: 0, batches: [batchOf(["c", "d"])] },
        { topic: one, partition: 1, batches: [batchOf(["e"])] },
      ]);
      const told = outcomes.map((list) =>
        list.map((outcome) => (outcome.ok ? outcome.firstOffset : `${outcome.error.code} ${outcome.error.field}`)),
      );
      const noPartition = "partition_not_found partition";
      assert.deepEqual(told, [[0n, 1n], ["topic_not_found topic"], [], [noPartition, noPartition], [0n], [2n]]);
      assert.deepEqual((await read(one, { partition: 1 })).entries.flatMap(valuesOf), ["a", "b", "e"]);
      assert.deepEqual((await read(other)).entries.flatMap(valuesOf), ["c", "d"]);
      assert.deepEqual(await engine.log.append([]), []);
    },

    "refuses a topic name that breaks the rule": async ({ engine }) => {
      const [[outcome] = []] = await engine.log.append([{ topic: "a b", partition: 0, batches: [batchOf(["x"])] }]);
      assert.equal(outcome?.ok === false ? outcome.error.code : "accepted", "invalid_name");
    },

    "keeps the order of calls that nobody waited for": async ({ engine, unique, append, values }) => {
      const name = unique("topic");
      // Made now: the first calls are also the first that the engine hears of this topic, as far as it remembers any.
      await engine.topics.create(name, { partitions: 1 });
      const words = Array.from({ length: 300 }, (_, index) => `v${index}`);
      const pending: Promise<AppendOutcome>[] = [];
      for (const word of words) {
        pending.push(append(name, [word]));
        if (pending.length % 40 === 0) await engine.topics.get(name);
      }
      const outcomes = await Promise.all(pending);
      assert.deepEqual(
        outcomes.map((outcome) => accepted(outcome).firstOffset),
        words.map((_, index) => BigInt(index)),
      );
      assert.deepEqual(await values(name), words);
    },

    "lets concurrent calls share log entries": async ({ engine, topic, append }) => {
      const name = await topic();
      const calls = 200;
      await Promise.all(Array.from({ length: calls }, (_, index) => append(name, [`v${index}`])));
      const { entries, endOffset } = present((await engine.topics.stats(name))[0]);
      assert.equal(endOffset, BigInt(calls));
      assert.ok(entries <= calls / 4, `${calls} calls took ${entries} entries`);
    },

    "joins no more than an entry may hold, and gives a larger batch one of its own": async ({
      engine,
      topic,
      read,
    }) => {
      const name = await topic();
      const half = "x".repeat(Math.floor(limits.entryBytesMax / 2) - 1_000);
      const large = "y".repeat(limits.entryBytesMax + 1);
      const batches = [half, half, "small", half, large, "small"].map((value) => batchOf([value]));
      const [outcomes] = await engine.log.append([{ topic: name, partition: 0, batches }]);
      assert.deepEqual(
        present(outcomes).map((outcome) => accepted(outcome).firstOffset),
        [0n, 1n, 2n, 3n, 4n, 5n],
      );
      const sizes: number[] = [];
      for (let from = 0n; from < 6n; ) {
        const entry = present((await read(name, { from: { offset: from }, entriesMax: 1 })).entries[0]);
        const isOver = entry.body.length > limits.entryBytesMax;
        assert.ok(!isOver || entry.recordCount === 1, "only a single batch may be over the bound");
        sizes.push(entry.recordCount);
        from = entry.baseOffset + BigInt(entry.recordCount);
      }
      assert.ok(sizes.length >= 4, `stored as entries of ${sizes.join(", ")} records`);
    },

    "joins no more records than an entry may hold": async ({ engine, topic, read }) => {
      const name = await topic();
      const batch = batchOf(new Array<string>(limits.entryRecordsMax / 2).fill(""));
      const batches = [batch, batchOf([""]), batch, batchOf([""])];
      const [outcomes] = await engine.log.append([{ topic: name, partition: 0, batches }]);
      for (const outcome of present(outcomes)) accepted(outcome);
      const { entries } = await read(name);
      assert.ok(entries.length > 1, "everything is in one entry");
      for (const { recordCount } of entries) assert.ok(recordCount <= limits.entryRecordsMax, `${recordCount} records`);
    },

    "keeps what the producer said of each batch": async ({ topic, append, read }) => {
      const name = await topic();
      const identity = { producerId: 77n, producerEpoch: 3 };
      accepted(await append(name, Array.from("0123456789AB"), { ...identity, firstSequence: 0n }));
      const batch = batchOf(["a", "b"], { ...identity, firstSequence: 12n });
      const { appendTimeMs } = accepted(await append(name, ["a", "b"], batch));
      await append(name, ["c"], { dedupeId: "d-1" });
      const [, first, second] = (await read(name)).entries;
      const meta = decodeEntryMeta(present(first).meta);
      assert.equal(meta.appendTimeMs, appendTimeMs);
      assert.equal(meta.batches.length, 1);
      const { recordCount, codec, crc32, producerId, producerEpoch, firstSequence, uncompressedBytes, bodyBytes } =
        present(meta.batches[0]);
      assert.deepEqual(
        [recordCount, codec, crc32, producerId, producerEpoch, firstSequence, uncompressedBytes, bodyBytes],
        [2, batch.codec, batch.crc32, 77n, 3, 12, batch.records.length, batch.records.length],
      );
      assert.deepEqual(Buffer.from(present(first).body), Buffer.from(batch.records));
      assert.equal(decodeEntryMeta(present(second).meta).batches[0]?.dedupeId, "d-1");
    },

    "gives append times that never fall": async ({ topic, store, read }) => {
      const name = await topic();
      await store(
        name,
        Array.from({ length: 20 }, (_, index) => [`v${index}`]),
      );
      const times = (await read(name)).entries.map(({ meta }) => decodeEntryMeta(meta).appendTimeMs);
      assert.equal(times.length, 20);
      assert.deepEqual(
        [...times].sort((one, other) => one - other),
        times,
      );
    },
  },
};
