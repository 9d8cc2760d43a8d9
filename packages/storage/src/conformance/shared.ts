import assert from "node:assert/strict";
import type { LogEntry, PendingEntry } from "../engine.js";
import { assertRefused, assertRejects, present } from "./assertions.js";
import { ack, memberOf, release, retry, startConsumer, unbounded, wholly } from "./consumer.js";
import { startDesk } from "./desk.js";
import type { ConformanceSubject } from "./subject.js";

const bases = (entries: readonly (LogEntry | PendingEntry)[]): bigint[] => entries.map(({ baseOffset }) => baseOffset);

export const sharedCases: ConformanceSubject = {
  name: "shared groups",
  cases: {
    "give every entry to one desk, however many read at once": async ({ engine, topic, store, unique, progress }) => {
      const [name, group] = [await topic(), unique("group")];
      await store(
        name,
        Array.from({ length: 60 }, (_, index) => [`a${index}`, `b${index}`]),
      );
      const desks = await Promise.all(["d1", "d2", "d3"].map((id) => startDesk(engine, group, name, id)));
      const given: LogEntry[] = [];
      for (let round = 0; round < 60; round++) {
        const got = await Promise.all(desks.map((desk) => desk.fetch({ recordsMax: 6 })));
        given.push(...got.flat());
        if (got.every((entries) => entries.length === 0)) break;
      }
      assert.deepEqual(
        bases(given).sort((one, other) => Number(one - other)),
        Array.from({ length: 60 }, (_, index) => BigInt(2 * index)),
      );
      const { position, unsettledRecords } = await progress(group, name);
      assert.deepEqual([position, unsettledRecords], [120n, 120]);
      const pending = await Promise.all(desks.map((desk) => desk.look()));
      assert.equal(pending.flatMap((claim) => claim.pending).length, 60);
    },

    "let a desk settle what it has, and nothing of another's": async ({ engine, topic, store, unique, progress }) => {
      const [name, group] = [await topic(), unique("group")];
      await store(name, [["a", "b"], ["c"]]);
      const one = await startDesk(engine, group, name, "d1");
      const other = await startDesk(engine, group, name, "d2");
      const [first] = await one.fetch({ recordsMax: 2 });
      const [second] = await other.fetch();
      assert.deepEqual([first?.baseOffset, second?.baseOffset], [0n, 2n]);
      const { pending: held } = await engine.groups.pending(group, { topic: name, partition: 0 });
      assert.deepEqual(
        held.map(({ baseOffset, desk }) => [baseOffset, desk]),
        [
          [0n, "d1"],
          [2n, "d2"],
        ],
      );
      for (const ranges of [[ack(0n, 1n)], [retry(0n, 0n, 0)], [release(1n)]]) {
        const refusals = await other.settle([{ baseOffset: 0n, recordCount: 2, ranges }]);
        assert.deepEqual(
          refusals.map(({ error }) => error.code),
          ["not_delivered"],
        );
      }
      assert.equal((await progress(group, name)).unsettledRecords, 3);
      assert.deepEqual(await one.settle([wholly(present(first))]), []);
      assert.deepEqual(await other.settle([wholly(present(second))]), []);
      assert.equal((await progress(group, name)).lagRecords, 0);
      assert.deepEqual(await one.settle([wholly(present(first))]), []);
    },

    "hand what a desk left to the next that claims, counted as handed back, and fence it": async (context) => {
      const { engine, topic, store, unique } = context;
      const [name, group] = [await topic(), unique("group")];
      await store(name, [["a", "b"], ["c"], ["d"]]);
      const gone = await startDesk(engine, group, name, "d1");
      const living = await startDesk(engine, group, name, "d2");
      const [first] = await gone.fetch({ recordsMax: 2 });
      await gone.settle([{ baseOffset: 0n, recordCount: 2, ranges: [ack(0n)] }]);
      // What the other took lies where it stood: the first answer only tells where to go on.
      assert.deepEqual(await living.fetch({ recordsMax: 1 }), []);
      assert.deepEqual(bases(await living.fetch({ recordsMax: 1 })), [2n]);
      assert.deepEqual(bases((await living.claim()).pending), [2n]);
      await engine.groups.leave(gone.member);
      const claimedAtMs = performance.now();
      const { pending } = await living.claim();
      const [inherited] = (await engine.groups.pending(group, { topic: name, partition: 0 })).pending;
      // Two clocks are compared, each of which may have been cut to whole milliseconds.
      assert.ok(present(inherited).idleMs <= performance.now() - claimedAtMs + 100);
      assert.deepEqual(
        pending.map(({ baseOffset, states, handBacks }) => [baseOffset, states, handBacks.takeOvers]),
        [
          [0n, "a.", 1],
          [2n, "", 0],
        ],
      );
      const [fetched] = await engine.groups.fetch([{ ownership: gone.ownership, position: 2n, ...unbounded }]);
      assertRefused(fetched, { code: "fenced" });
      const [settled] = await engine.groups.settle([{ ownership: gone.ownership, entries: [wholly(present(first))] }]);
      assertRefused(settled, { code: "fenced" });
      assert.deepEqual(bases((await living.claim()).pending), [0n, 2n]);
      assert.deepEqual(bases(await living.fetch()), [3n]);
    },

    "hand on what the youngest desk left, too": async ({ engine, topic, store, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      await store(name, [["a"]]);
      const old = await startDesk(engine, group, name, "d1");
      const young = await startDesk(engine, group, name, "d2");
      await young.fetch();
      await engine.groups.leave(young.member);
      assert.deepEqual(bases((await old.claim()).pending), [0n]);
    },

    "do not take a desk for gone that a view did not know yet": async ({ engine, topic, store, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      await store(name, [["a"], ["b"]]);
      const early = await startDesk(engine, group, name, "d1");
      const late = await startDesk(engine, group, name, "d2");
      const [entry] = await late.fetch({ recordsMax: 1 });
      // As by a view from before the second desk.
      const old = { memberIds: ["d1"], epoch: early.ownership.epoch };
      assert.deepEqual((await engine.groups.claim(early.ownership, old)).pending, []);
      assert.deepEqual(await late.settle([wholly(present(entry))]), []);
    },

    "tell a desk what it was given with an answer that was lost": async ({ engine, topic, store, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      await store(name, [["a"], ["b"], ["c"]]);
      const desk = await startDesk(engine, group, name, "d1");
      const lost = { ownership: desk.ownership, position: 0n, ...unbounded, recordsMax: 2 };
      await engine.groups.fetch([lost]);
      assert.deepEqual(bases(await desk.fetch()), [2n]);
      assert.deepEqual(bases((await desk.look()).pending), [0n, 1n, 2n]);
    },

    "give a desk's new life what the old one had, under a higher epoch": async ({ engine, topic, store, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      await store(name, [["a"]]);
      const old = await startDesk(engine, group, name, "d1", "life-1");
      await old.fetch();
      const young = await startDesk(engine, group, name, "d1", "life-2");
      assert.ok(young.ownership.epoch > old.ownership.epoch);
      assert.deepEqual(
        young.claimed.pending.map(({ baseOffset, handBacks }) => [baseOffset, handBacks.takeOvers]),
        [[0n, 1]],
      );
      await assertRejects(old.look(), { code: "fenced", field: "epoch" });
    },

    "and exclusive ones exclude each other until the last member has left": async ({
      engine,
      topic,
      store,
      unique,
    }) => {
      const [name, group] = [await topic(), unique("group")];
      await store(name, [["a"], ["b"], ["c"]]);
      const desk = await startDesk(engine, group, name, "d1");
      await desk.fetch({ recordsMax: 1 });
      const refused = { code: "invalid_argument", field: "mode" } as const;
      const owner = memberOf(group, [name], { memberId: "owner" });
      await assertRejects(engine.groups.join(owner, "earliest"), refused);
      await engine.groups.leave(desk.member);
      const exclusive = await startConsumer(engine, owner, "earliest");
      assert.deepEqual(bases(exclusive.claimed.pending), [0n]);
      await exclusive.fetch({ recordsMax: 1 });
      for (const kind of ["shared", "desk"] as const)
        await assertRejects(engine.groups.join(memberOf(group, [name], { memberId: "d2", kind }), "earliest"), refused);
      await engine.groups.leave(owner);
      const again = await startDesk(engine, group, name, "d2");
      assert.deepEqual(bases(again.claimed.pending), [0n, 1n]);
      assert.deepEqual(bases(await again.fetch()), [2n]);
      const [settled] = await engine.groups.settle([{ ownership: exclusive.ownership, entries: [] }]);
      assertRefused(settled, { code: "fenced" });
    },

    "have shared members that own nothing": async ({ engine, topic, unique }) => {
      const [name, group] = [await topic(3), unique("group")];
      await engine.groups.join(memberOf(group, [name], { memberId: "c1", kind: "shared" }), "earliest");
      const view = await engine.groups.join(memberOf(group, [name], { memberId: "d1", kind: "desk" }), "earliest");
      assert.deepEqual(
        view.partitions.map(({ memberId }) => memberId),
        [undefined, undefined, undefined],
      );
      assert.deepEqual(
        view.members.map(({ memberId, kind }) => [memberId, kind]),
        [
          ["c1", "shared"],
          ["d1", "desk"],
        ],
      );
      assert.deepEqual(present(await engine.groups.get(group)), view);
    },

    "are moved by a reset, which fences every desk": async ({ engine, topic, store, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      await store(name, [["a"], ["b"]]);
      const desk = await startDesk(engine, group, name, "d1");
      await desk.fetch();
      const reset = { group, topic: name, partitions: undefined, to: "earliest", dryRun: false } as const;
      await engine.groups.reset({ ...reset, expectedVersion: undefined });
      const [fetched] = await engine.groups.fetch([{ ownership: desk.ownership, position: 2n, ...unbounded }]);
      assertRefused(fetched, { code: "fenced" });
      const again = await startDesk(engine, group, name, "d1");
      assert.ok(again.ownership.epoch > desk.ownership.epoch);
      assert.deepEqual([again.claimed.position, again.claimed.pending], [0n, []]);
      assert.deepEqual(bases(await again.fetch()), [0n, 1n]);
    },
  },
};
