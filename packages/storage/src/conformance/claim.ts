import assert from "node:assert/strict";
import { assertRefused, assertRejects, present } from "./assertions.js";
import { ack, memberOf, retry, startConsumer, unbounded, wholly } from "./consumer.js";
import type { ConformanceSubject } from "./subject.js";

export const claimCases: ConformanceSubject = {
  name: "claim and fencing",
  cases: {
    "tells position, end and what is pending, in order": async ({ topic, store, consume, read }) => {
      const name = await topic();
      await store(name, [["a", "b"], ["c"], ["d", "e", "f"], ["g"]]);
      const consumer = await consume(name);
      assert.deepEqual(consumer.claimed, { position: 0n, endOffset: 7n, pending: [] });
      const entries = await consumer.fetch({ recordsMax: 6 });
      const [first, second, third] = [present(entries[0]), present(entries[1]), present(entries[2])];
      await consumer.ack([second]);
      await consumer.settle(third, [ack(4n)]);
      await consumer.settle(first, [retry(1n, 1n, 60_000)]);
      const { position, endOffset, pending } = await consumer.claim();
      assert.deepEqual([position, endOffset], [6n, 7n]);
      assert.deepEqual(
        pending.map(({ baseOffset, recordCount, states, attempts }) => [
          baseOffset,
          recordCount,
          states,
          attempts.map((item) => [item.index, item.attempts]),
        ]),
        [
          [0n, 2, "", [[1, 1]]],
          [3n, 3, ".a.", []],
        ],
      );
      const inMs = present(pending[0]?.due[0]).inMs;
      assert.ok(inMs > 0 && inMs <= 60_000, `due in ${inMs} ms`);
      const bodies = await read(name, { from: { offset: 3n }, entriesMax: 1 });
      assert.deepEqual(Buffer.from(present(bodies.entries[0]).body), Buffer.from(third.body));
    },

    "under the same epoch by the same member has no effect": async ({ topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a"], ["b"]]);
      const consumer = await consume(name);
      await consumer.fetch({ recordsMax: 1 });
      const once = await consumer.claim();
      assert.deepEqual(await consumer.claim(), once);
      assert.equal((await consumer.fetch()).length, 1);
    },

    "hands everything pending to the next owner and fences the one before": async (context) => {
      const { engine, topic, store, consume } = context;
      const name = await topic();
      await store(name, [["a", "b"], ["c"], ["d"]]);
      const early = await consume(name);
      const [first] = await early.fetch({ recordsMax: 1 });
      await early.settle(present(first), [ack(0n)]);
      const late = await startConsumer(engine, { ...early.member, incarnation: "life-2" }, "earliest");
      assert.equal(late.claimed.position, 2n);
      assert.deepEqual(
        late.claimed.pending.map(({ baseOffset, states }) => [baseOffset, states]),
        [[0n, "a."]],
      );

      const fenced = { code: "fenced", field: "epoch" } as const;
      const { ownership } = early;
      const before = await context.progress(early.group, name);
      await assertRejects(early.claim(), fenced);
      const [fetched] = await engine.groups.fetch([{ ownership, position: 2n, ...unbounded }]);
      assertRefused(fetched, fenced);
      const [settled] = await engine.groups.settle([{ ownership, entries: [wholly(present(first))] }]);
      assertRefused(settled, fenced);
      const { lagMs: _before, ...same } = before;
      const { lagMs: _after, ...now } = await context.progress(early.group, name);
      assert.deepEqual(now, same);
      const { pending } = await late.claim();
      assert.deepEqual(
        pending.map(({ baseOffset, states }) => [baseOffset, states]),
        [[0n, "a."]],
      );
      assert.deepEqual(
        (await late.fetch()).map(({ baseOffset }) => baseOffset),
        [2n, 3n],
      );
    },

    "needs a higher epoch, and the owner's name under the same": async ({ engine, topic, consume }) => {
      const name = await topic();
      const { ownership } = await consume(name);
      const fenced = { code: "fenced", field: "epoch" } as const;
      const { epoch } = ownership;
      await assertRejects(engine.groups.claim({ ...ownership, epoch: epoch - 1 }), fenced);
      await assertRejects(engine.groups.claim({ ...ownership, memberId: "m2" }), fenced);
      const next = { ...ownership, memberId: "m2", epoch: epoch + 1 };
      await engine.groups.claim(next);
      await assertRejects(engine.groups.claim(ownership), fenced);
      for (const wrong of [ownership, { ...next, memberId: "m1" }, { ...next, epoch: epoch + 2 }]) {
        const [fetched] = await engine.groups.fetch([{ ownership: wrong, position: 0n, ...unbounded }]);
        assertRefused(fetched, fenced);
        const [settled] = await engine.groups.settle([{ ownership: wrong, entries: [] }]);
        assertRefused(settled, fenced);
      }
    },

    "of what is not there is refused": async ({ engine, topic, unique, consume }) => {
      const name = await topic();
      const { ownership } = await consume(name);
      const { groups } = engine;
      await assertRejects(groups.claim({ ...ownership, group: unique("group") }), { code: "fenced", field: "epoch" });
      const gone = { ...ownership, topic: unique("topic") };
      await assertRejects(groups.claim(gone), { code: "topic_not_found", field: "topic" });
      const beyond = { ...ownership, partition: 1 };
      await assertRejects(groups.claim(beyond), { code: "partition_not_found", field: "partition" });
    },

    "keeps groups apart": async ({ engine, topic, store, consume, unique }) => {
      const name = await topic();
      await store(name, [["a"], ["b"]]);
      const one = await consume(name);
      const other = await startConsumer(engine, memberOf(unique("group"), [name]), "earliest");
      const entries = await one.fetch();
      await one.ack(entries);
      assert.equal((await other.fetch()).length, 2);
      assert.equal((await other.claim()).pending.length, 2);
      assert.equal((await one.claim()).pending.length, 0);
    },
  },
};
