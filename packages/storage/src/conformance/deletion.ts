import assert from "node:assert/strict";
import { accepted, assertRefused, assertRejects, present } from "./assertions.js";
import { valuesOf } from "./batches.js";
import { ack, memberOf, retry, startConsumer, unbounded, wholly } from "./consumer.js";
import type { ConformanceSubject } from "./subject.js";

export const deletionCases: ConformanceSubject = {
  name: "deletion",
  cases: {
    "a topic takes its records and its groups' progress with it": async (context) => {
      const { engine, topic, store, consume, append, read } = context;
      const name = await topic(2);
      await store(name, [["a", "b"], ["c"]]);
      const consumer = await consume(name);
      const { ownership } = consumer;
      const entries = await consumer.fetch();
      await engine.topics.delete(name);

      const gone = { code: "topic_not_found", field: "topic" } as const;
      assert.equal(await engine.topics.get(name), undefined);
      assert.ok(!(await engine.topics.list()).some((info) => info.name === name));
      assertRefused(await append(name, ["d"]), gone);
      await assertRejects(read(name), gone);
      await assertRejects(consumer.claim(), gone);
      assertRefused((await engine.groups.fetch([{ ownership, position: 0n, ...unbounded }]))[0], gone);
      assertRefused((await engine.groups.settle([{ ownership, entries: entries.map(wholly) }]))[0], gone);
      assert.deepEqual(await engine.groups.offsets(consumer.group), []);
      await assertRejects(engine.topics.delete(name), gone);
    },

    "a topic that is made again is empty and begins at 0": async ({ engine, topic, store, append, values }) => {
      const name = await topic(2);
      const producer = { producerId: 3n, producerEpoch: 0 };
      accepted(await append(name, ["a"], { ...producer, firstSequence: 0n }));
      accepted(await append(name, ["b"], { dedupeId: "once" }));
      await store(name, [["c", "d"]]);
      await engine.topics.delete(name);
      await engine.topics.create(name, { partitions: 1 });
      const [stats, ...none] = await engine.topics.stats(name);
      assert.equal(none.length, 0);
      assert.deepEqual([stats?.startOffset, stats?.endOffset, stats?.entries], [0n, 0n, 0]);
      const first = accepted(await append(name, ["A"], { ...producer, firstSequence: 0n }));
      assert.deepEqual([first.firstOffset, first.duplicate], [0n, false], "nothing is remembered of its earlier life");
      const second = accepted(await append(name, ["B"], { dedupeId: "once" }));
      assert.deepEqual([second.firstOffset, second.duplicate], [1n, false]);
      assert.deepEqual(await values(name), ["A", "B"]);
    },

    "a topic that is made again knows no group's earlier progress": async ({ engine, topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a", "b"], ["c"]]);
      const consumer = await consume(name);
      const [entry] = await consumer.fetch();
      await consumer.settle(present(entry), [ack(0n), retry(1n, 1n, 60_000)]);
      await engine.topics.delete(name);
      await engine.topics.create(name, { partitions: 1 });
      await store(name, [["A"], ["B"]]);
      const again = await startConsumer(engine, { ...consumer.member, incarnation: "life-2" }, "latest");
      assert.deepEqual(again.claimed, { position: 0n, endOffset: 2n, pending: [] });
      assert.ok(again.ownership.epoch > consumer.ownership.epoch);
      assert.deepEqual((await again.fetch()).map(valuesOf), [["A"], ["B"]]);
      const { ownership } = consumer;
      const [late] = await engine.groups.settle([{ ownership, entries: [wholly(present(entry))] }]);
      assertRefused(late, { code: "fenced", field: "epoch" });
    },

    "a group is deleted with its progress once nobody is in it": async (context) => {
      const { engine, topic, store, consume, unique } = context;
      const { groups } = engine;
      const name = await topic();
      await store(name, [["a", "b"], ["c"]]);
      const consumer = await consume(name);
      const { group, member, ownership } = consumer;
      const [entry] = await consumer.fetch();
      await consumer.settle(present(entry), [ack(0n), retry(1n, 1n, 60_000)]);
      await assertRejects(groups.delete(group), { code: "group_not_empty", field: "group" });
      await groups.leave(member);
      await groups.delete(group);

      const gone = { code: "group_not_found", field: "group" } as const;
      assert.equal(await groups.get(group), undefined);
      assert.ok(!(await groups.list()).some((view) => view.group === group));
      await assertRejects(groups.delete(group), gone);
      await assertRejects(groups.offsets(group), gone);
      await assertRejects(groups.delete(unique("group")), gone);
      const [late] = await groups.settle([{ ownership, entries: [wholly(present(entry))] }]);
      assertRefused(late, { code: "fenced", field: "epoch" });

      const again = await startConsumer(engine, { ...member, incarnation: "life-2" }, "earliest");
      assert.deepEqual(again.claimed, { position: 0n, endOffset: 3n, pending: [] });
      assert.ok(again.ownership.epoch > ownership.epoch, "an owner of the deleted group stays fenced");
      assert.deepEqual((await again.fetch()).map(valuesOf), [["a", "b"], ["c"]]);
    },

    "a group whose members all ran out can be deleted": async ({ engine: { groups }, topic, unique }) => {
      const group = unique("group");
      await groups.join(memberOf(group, [await topic()], { sessionTimeoutMs: 1_000 }), "earliest");
      const untilMs = performance.now() + 20_000;
      for (;;) {
        const failure = await groups.delete(group).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (failure === undefined) break;
        await assertRejects(Promise.reject(failure), { code: "group_not_empty" });
        assert.ok(performance.now() < untilMs, "its session does not run out");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.equal(await groups.get(group), undefined);
    },
  },
};
