import assert from "node:assert/strict";
import { assertRejects, present } from "./assertions.js";
import { ack } from "./consumer.js";
import { eventually } from "./eventually.js";
import type { ConformanceSubject } from "./subject.js";

export const offsetsCases: ConformanceSubject = {
  name: "offsets and lag",
  cases: {
    "count what is not fetched and what is not settled": async ({ topic, store, consume, progress }) => {
      const name = await topic();
      const consumer = await consume(name);
      const show = async () => {
        const { position, unsettledRecords, startOffset, endOffset, lagRecords } = await progress(consumer.group, name);
        return [position, unsettledRecords, startOffset, endOffset, lagRecords];
      };
      assert.deepEqual(await show(), [0n, 0, 0n, 0n, 0]);
      await store(name, [
        ["a", "b", "c"],
        ["d", "e"],
      ]);
      assert.deepEqual(await show(), [0n, 0, 0n, 5n, 5]);
      const [first] = await consumer.fetch({ recordsMax: 1 });
      assert.deepEqual(await show(), [3n, 3, 0n, 5n, 5]);
      await consumer.settle(present(first), [ack(1n)]);
      assert.deepEqual(await show(), [3n, 2, 0n, 5n, 4]);
      await consumer.settle(present(first), [ack(0n, 2n)]);
      assert.deepEqual(await show(), [3n, 0, 0n, 5n, 2]);
      await consumer.ack(await consumer.fetch());
      assert.deepEqual(await show(), [5n, 0, 0n, 5n, 0]);
    },

    "lag in time is the age of the oldest entry not settled": async ({ topic, store, consume, progress }) => {
      const name = await topic();
      const consumer = await consume(name);
      assert.equal((await progress(consumer.group, name)).lagMs, 0);
      await store(name, [["a"]]);
      await eventually(async () => assert.ok((await progress(consumer.group, name)).lagMs >= 60));
      await store(name, [["b"]]);
      const [first, second] = await consumer.fetch();
      assert.ok((await progress(consumer.group, name)).lagMs >= 60);
      await consumer.ack([present(first)]);
      const young = (await progress(consumer.group, name)).lagMs;
      await eventually(async () => assert.ok((await progress(consumer.group, name)).lagMs > young));
      await consumer.ack([present(second)]);
      assert.equal((await progress(consumer.group, name)).lagMs, 0);
    },

    "name every partition of the group's topics, in order": async ({ engine, topic, consume }) => {
      const name = await topic(3);
      const { group } = await consume(name);
      const offsets = await engine.groups.offsets(group);
      assert.deepEqual(
        offsets.map((place) => [place.topic, place.partition]),
        [0, 1, 2].map((partition) => [name, partition]),
      );
    },

    "of a group that is not there are refused": async ({ engine, unique }) => {
      const expected = { code: "group_not_found", field: "group" } as const;
      await assertRejects(engine.groups.offsets(unique("group")), expected);
    },
  },
};
