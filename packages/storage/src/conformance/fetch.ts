import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { accepted, assertRefused, present } from "./assertions.js";
import { batchOf, valuesOf } from "./batches.js";
import { memberOf, unbounded } from "./consumer.js";
import type { ConformanceSubject } from "./subject.js";

const bases = (entries: readonly { readonly baseOffset: bigint }[]): bigint[] =>
  entries.map(({ baseOffset }) => baseOffset);

export const fetchCases: ConformanceSubject = {
  name: "fetch",
  cases: {
    "reads on from the position and registers what it gives": async ({ engine, topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a", "b"], ["c"]]);
      const { ownership, claim } = await consume(name);
      const [outcome] = await engine.groups.fetch([{ ownership, position: 0n, ...unbounded }]);
      const { entries, position, endOffset } = accepted(outcome);
      assert.deepEqual(entries.map(valuesOf), [["a", "b"], ["c"]]);
      assert.deepEqual([position, endOffset], [3n, 3n]);
      const now = await claim();
      assert.equal(now.position, 3n);
      assert.deepEqual(bases(now.pending), [0n, 2n]);
      const [again] = await engine.groups.fetch([{ ownership, position, ...unbounded }]);
      assert.deepEqual(accepted(again), { ok: true, entries: [], position: 3n, endOffset: 3n });
      await store(name, [["d"]]);
      const [more] = await engine.groups.fetch([{ ownership, position, ...unbounded }]);
      assert.deepEqual(accepted(more).entries.map(valuesOf), [["d"]]);
    },

    "gives at least one entry, else as many as fit records and bytes": async ({ topic, store, consume }) => {
      const name = await topic();
      await store(
        name,
        [2, 3, 1, 5, 1, 1].map((size) => Array.from({ length: size }, () => "x".repeat(100))),
      );
      const consumer = await consume(name);
      assert.deepEqual(bases(await consumer.fetch({ recordsMax: 1 })), [0n]);
      assert.deepEqual(bases(await consumer.fetch({ recordsMax: 4 })), [2n, 5n]);
      assert.deepEqual(bases(await consumer.fetch({ bytesMax: 1 })), [6n]);
      assert.deepEqual(bases(await consumer.fetch({ bytesMax: 150 })), [11n]);
      assert.deepEqual(bases(await consumer.fetch()), [12n]);
      assert.deepEqual(bases(await consumer.fetch()), []);
    },

    "tells the end of the log when it stops before it": async ({ engine, topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a"], ["b"], ["c"]]);
      const { ownership } = await consume(name);
      const [outcome] = await engine.groups.fetch([{ ownership, position: 0n, ...unbounded, recordsMax: 1 }]);
      const { position, endOffset } = accepted(outcome);
      assert.deepEqual([position, endOffset], [1n, 3n]);
    },

    "asked again for what was given gives it again and registers nothing twice": async (context) => {
      const { engine, topic, store, consume, progress } = context;
      const name = await topic();
      await store(name, [["a", "b"], ["c"], ["d"]]);
      const consumer = await consume(name);
      const entries = await consumer.fetch();
      await consumer.ack([present(entries[1])]);
      const { ownership } = consumer;
      const [again] = await engine.groups.fetch([{ ownership, position: 0n, ...unbounded }]);
      assert.deepEqual(bases(accepted(again).entries), [0n, 2n, 3n]);
      const { position, unsettledRecords } = await progress(consumer.group, name);
      assert.deepEqual([position, unsettledRecords], [4n, 3]);
      assert.deepEqual(bases((await consumer.claim()).pending), [0n, 3n]);
    },

    "answers many partitions in order, each for itself": async ({ engine, topic, unique, consume }) => {
      const { groups, log } = engine;
      const name = await topic(3);
      const { ownership, member } = await consume(name);
      const view = present(await groups.get(member.group));
      const owned = view.partitions.map(({ partition, epoch }) => ({ ...ownership, partition, epoch }));
      for (const own of owned) await groups.claim(own);
      for (const partition of [0, 1, 2]) {
        await log.append([{ topic: name, partition, batches: [batchOf([`p${partition}`])] }]);
      }
      const fetchOf = (own: typeof ownership) => ({ ownership: own, position: 0n, ...unbounded });
      const [zero, one, two] = [present(owned[0]), present(owned[1]), present(owned[2])];
      const outcomes = await groups.fetch([
        fetchOf(two),
        fetchOf({ ...one, epoch: one.epoch - 1 }),
        fetchOf({ ...zero, topic: unique("topic") }),
        fetchOf(zero),
        fetchOf({ ...zero, partition: 3 }),
        fetchOf(one),
      ]);
      assert.deepEqual(accepted(outcomes[0]).entries.map(valuesOf), [["p2"]]);
      assertRefused(outcomes[1], { code: "fenced", field: "epoch" });
      assertRefused(outcomes[2], { code: "topic_not_found", field: "topic" });
      assert.deepEqual(accepted(outcomes[3]).entries.map(valuesOf), [["p0"]]);
      assertRefused(outcomes[4], { code: "partition_not_found", field: "partition" });
      assert.deepEqual(accepted(outcomes[5]).entries.map(valuesOf), [["p1"]]);
      assert.deepEqual(await groups.fetch([]), []);
    },

    "passes over nothing and doubles nothing while records come in": async ({ topic, append, consume }) => {
      const name = await topic();
      const consumer = await consume(name);
      const words = Array.from({ length: 400 }, (_, index) => `v${index}`);
      const seen: string[] = [];
      const producing = (async () => {
        for (let at = 0; at < words.length; at += 8) {
          await Promise.all(words.slice(at, at + 8).map((word) => append(name, [word])));
        }
      })();
      const untilMs = performance.now() + 30_000;
      while (seen.length < words.length && performance.now() < untilMs) {
        const entries = await consumer.fetch({ recordsMax: 50 });
        seen.push(...entries.flatMap(valuesOf));
        await consumer.ack(entries);
        if (entries.length === 0) await sleep(1);
      }
      await producing;
      assert.deepEqual(seen, words);
      assert.deepEqual((await consumer.claim()).pending, []);
    },

    "is for members that claimed": async ({ engine, topic, unique }) => {
      const name = await topic();
      const member = memberOf(unique("group"), [name]);
      const { partitions } = await engine.groups.join(member, "earliest");
      const { group, memberId } = member;
      const ownership = { group, topic: name, partition: 0, memberId, epoch: present(partitions[0]).epoch };
      const [outcome] = await engine.groups.fetch([{ ownership, position: 0n, ...unbounded }]);
      assertRefused(outcome, { code: "fenced", field: "epoch" });
    },
  },
};
