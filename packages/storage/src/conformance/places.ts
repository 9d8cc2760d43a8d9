import assert from "node:assert/strict";
import { heldMember } from "../engine-groups.js";
import { assertRefused, assertRejects, present } from "./assertions.js";
import { batchOf, valuesOf } from "./batches.js";
import { ack, memberOf, retry, startConsumer, unbounded, wholly } from "./consumer.js";
import { eventually } from "./eventually.js";
import type { ConformanceSubject } from "./subject.js";

/** Two clocks are compared, each of which may have been cut to whole milliseconds. */
const clockSlackMs = 100;

function assertSince(idleMs: number, beganAtMs: number): void {
  const sinceMs = performance.now() - beganAtMs;
  assert.ok(idleMs >= 0 && idleMs <= sinceMs + clockSlackMs, `${idleMs} ms, though it began ${sinceMs} ms ago`);
}

const whole = { partitions: undefined, dryRun: false, expectedVersion: undefined } as const;

export const placesCases: ConformanceSubject = {
  name: "pending, reset, pause and resume",
  cases: {
    "pending shows what claim would, and changes nothing": async ({ engine: { groups }, topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a", "b", "c"], ["d"], ["e"]]);
      const consumer = await consume(name);
      const place = { topic: name, partition: 0 };
      assert.deepEqual((await groups.pending(consumer.group, place)).pending, []);
      const [first] = await consumer.fetch({ recordsMax: 4 });
      await consumer.settle(present(first), [ack(1n), retry(2n, 2n, 0)]);
      const { pending: shown } = await groups.pending(consumer.group, place);
      assert.deepEqual(
        shown.map(({ baseOffset, recordCount, states, attempts, due }) => [
          baseOffset,
          recordCount,
          states,
          attempts.map((item) => [item.index, item.attempts]),
          due.map((item) => [item.index, item.inMs]),
        ]),
        [
          [0n, 3, ".a.", [[2, 1]], [[2, 0]]],
          [3n, 1, "", [], []],
        ],
      );
      assert.equal((await consumer.fetch()).length, 1);
    },

    "pending tells since when an entry is with who has it": async ({ engine, topic, store, consume }) => {
      const { groups } = engine;
      const name = await topic();
      await store(name, [["a", "b"], ["c"]]);
      const consumer = await consume(name);
      const idle = async (): Promise<number[]> =>
        (await groups.pending(consumer.group, { topic: name, partition: 0 })).pending.map(({ idleMs }) => idleMs);
      const [first] = await consumer.fetch({ recordsMax: 2 });
      await eventually(async () => assert.ok(present((await idle())[0]) >= 300));
      const fetchedAtMs = performance.now();
      await consumer.fetch();
      // What becomes of single records is not the entry's: it is with the same owner all the time.
      await consumer.settle(present(first), [ack(0n), retry(1n, 1n, 60_000)]);
      await consumer.claim();
      const [old, fresh] = await idle();
      assert.ok(present(old) >= 300, `${old} ms`);
      assertSince(present(fresh), fetchedAtMs);

      const takenAtMs = performance.now();
      await startConsumer(engine, { ...consumer.member, incarnation: "life-2" }, "earliest");
      for (const idleMs of await idle()) assertSince(idleMs, takenAtMs);
    },

    "reset moves the group, fences its owners and forgets what was handed out": async (context) => {
      const { engine, topic, store, consume, progress } = context;
      const { groups } = engine;
      const name = await topic();
      await store(name, [["a", "b"], ["c"], ["d", "e"]]);
      const consumer = await consume(name);
      const [first, second] = await consumer.fetch({ recordsMax: 3 });
      await consumer.ack([present(first)]);
      await consumer.settle(present(second), [retry(2n, 2n, 60_000)]);
      const { group, ownership } = consumer;

      const dry = await groups.reset({ group, topic: name, to: "earliest", ...whole, dryRun: true });
      const planned = dry.partitions.map(({ partition, before, after, rereadRecords, skippedRecords }) => [
        partition,
        before,
        after,
        rereadRecords,
        skippedRecords,
      ]);
      assert.deepEqual(planned, [[0, 3n, 0n, 2, 0]]);
      assert.equal((await consumer.claim()).position, 3n);

      const done = await groups.reset({ group, topic: name, to: "earliest", ...whole, expectedVersion: dry.version });
      assert.deepEqual(done.partitions, dry.partitions);
      assert.ok(done.version > dry.version);
      const [fetched] = await groups.fetch([{ ownership, position: 3n, ...unbounded }]);
      assertRefused(fetched, { code: "fenced", field: "epoch" });
      assert.deepEqual((await groups.pending(group, { topic: name, partition: 0 })).pending, []);
      const view = present(await groups.get(group));
      const { epoch, memberId, hold } = present(view.partitions[0]);
      assert.deepEqual([memberId, hold], ["m1", undefined]);
      assert.ok(epoch > ownership.epoch);
      const claimed = await groups.claim({ ...ownership, epoch });
      assert.deepEqual([claimed.position, claimed.pending.length], [0n, 0]);
      const { lagRecords, unsettledRecords } = await progress(group, name);
      assert.deepEqual([lagRecords, unsettledRecords], [5, 0]);
    },

    "reset takes every kind of place, also inside an entry": async ({ engine, topic, store, consume, progress }) => {
      const { groups } = engine;
      const name = await topic();
      await store(name, [["a", "b", "c"], ["d"]]);
      const { group, member } = await consume(name);
      for (const [to, position, lag] of [
        ["latest", 4n, 0],
        [{ offset: 1n }, 3n, 3],
        [{ offset: 3n }, 3n, 1],
        [{ offset: 4n }, 4n, 0],
        [{ timestampMs: 0 }, 0n, 4],
      ] as const) {
        await groups.reset({ group, topic: name, to, ...whole });
        const now = await progress(group, name);
        assert.deepEqual([now.position, now.lagRecords], [position, lag]);
      }
      await groups.reset({ group, topic: name, to: { offset: 1n }, ...whole });
      const again = await startConsumer(engine, { ...member, incarnation: "life-2" }, "earliest");
      assert.deepEqual(
        again.claimed.pending.map(({ baseOffset, states }) => [baseOffset, states]),
        [[0n, "s.."]],
      );
      assert.deepEqual((await again.fetch()).map(valuesOf), [["d"]]);
    },

    "reset moves only the partitions named": async ({ engine, topic, consume }) => {
      const name = await topic(3);
      const { group, ownership } = await consume(name);
      for (const partition of [0, 1, 2]) {
        await engine.log.append([{ topic: name, partition, batches: [batchOf(["a", "b"])] }]);
      }
      await engine.groups.reset({ group, topic: name, to: "latest", ...whole, partitions: [1, 2] });
      const offsets = await engine.groups.offsets(group);
      assert.deepEqual(
        offsets.map(({ position }) => position),
        [0n, 2n, 2n],
      );
      await engine.groups.claim(ownership);
    },

    "reset refuses by name": async ({ engine: { groups }, topic, store, consume, unique }) => {
      const name = await topic();
      await store(name, [["a"]]);
      const { group, claim } = await consume(name);
      const request = { group, topic: name, to: "earliest", ...whole } as const;
      const cases = [
        [{ group: unique("group") }, "group_not_found", "group"],
        [{ group: "a b" }, "invalid_name", "group"],
        [{ topic: "a b" }, "invalid_name", "topic"],
        [{ topic: unique("topic") }, "topic_not_found", "topic"],
        [{ partitions: [0, 1] }, "partition_not_found", "partitions"],
        [{ to: { offset: 2n } }, "invalid_argument", "to.offset"],
        [{ expectedVersion: 0 }, "conflict", "expected_version"],
      ] as const;
      for (const [changes, code, field] of cases) {
        await assertRejects(groups.reset({ ...request, ...changes }), { code, field });
      }
      assert.equal((await claim()).position, 0n, "the owner was not touched");
    },

    "a paused topic has no owner once it was given back, until it is resumed": async (context) => {
      const { engine, topic, store, unique } = context;
      const { groups } = engine;
      const [name, other, group] = [await topic(), await topic(), unique("group")];
      await store(name, [["a"]]);
      const member = memberOf(group, [name, other]);
      const consumer = await startConsumer(engine, member, "earliest");
      const entries = await consumer.fetch();

      const paused = await groups.pause({ group, topic: name });
      const place = present(paused.partitions.find((one) => one.topic === name));
      assert.deepEqual([place.memberId, place.nextMemberId, place.hold], ["m1", heldMember, "paused"]);
      assert.equal(paused.partitions.find((one) => one.topic === other)?.hold, undefined);
      await consumer.settleEntries(entries.map(wholly));

      const released = await groups.release(member, [{ topic: name, partition: 0 }]);
      const free = present(released.partitions.find((one) => one.topic === name));
      assert.deepEqual([free.memberId, free.hold], [undefined, "paused"]);
      assert.equal(released.partitions.find((one) => one.topic === other)?.memberId, "m1");
      const later = await groups.join({ ...member, memberId: "m2", topics: [name] }, "earliest");
      assert.equal(later.partitions.find((one) => one.topic === name)?.memberId, undefined);
      assert.deepEqual(await groups.pause({ group, topic: name }), later, "to pause what is paused changes nothing");

      const resumed = await groups.resume({ group, topic: name });
      const back = present(resumed.partitions.find((one) => one.topic === name));
      assert.deepEqual([back.memberId === undefined, back.hold], [false, undefined]);
      assert.ok(back.epoch > place.epoch);
      const memberId = present(back.memberId);
      const claimed = await groups.claim({ group, topic: name, partition: 0, memberId, epoch: back.epoch });
      assert.deepEqual([claimed.position, claimed.pending.length], [1n, 0]);
    },

    "pause and resume without a topic mean all of them": async ({ engine: { groups }, topic, unique }) => {
      const [name, other, group] = [await topic(2), await topic(), unique("group")];
      await groups.join(memberOf(group, [name, other]), "earliest");
      const paused = await groups.pause({ group, topic: undefined });
      assert.deepEqual(
        paused.partitions.map(({ hold }) => hold),
        ["paused", "paused", "paused"],
      );
      const resumed = await groups.resume({ group, topic: undefined });
      assert.deepEqual(
        resumed.partitions.map(({ hold, memberId, nextMemberId }) => [hold, memberId, nextMemberId]),
        Array.from({ length: 3 }, () => [undefined, "m1", undefined]),
      );
    },

    "of what is not there are refused": async ({ engine: { groups }, topic, consume, unique }) => {
      const name = await topic();
      const { group } = await consume(name);
      const noGroup = { code: "group_not_found", field: "group" } as const;
      const noTopic = { code: "topic_not_found", field: "topic" } as const;
      const [gone, missing] = [unique("group"), unique("topic")];
      await assertRejects(groups.pause({ group: gone, topic: undefined }), noGroup);
      await assertRejects(groups.resume({ group: gone, topic: undefined }), noGroup);
      await assertRejects(groups.pending(gone, { topic: name, partition: 0 }), noGroup);
      await assertRejects(groups.pause({ group, topic: missing }), noTopic);
      await assertRejects(groups.resume({ group, topic: missing }), noTopic);
      await assertRejects(groups.pending(group, { topic: missing, partition: 0 }), noTopic);
      const beyond = { code: "partition_not_found", field: "partition" } as const;
      await assertRejects(groups.pending(group, { topic: name, partition: 1 }), beyond);
    },
  },
};
