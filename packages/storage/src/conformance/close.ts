import assert from "node:assert/strict";
import { assertRefused, assertRejects, present } from "./assertions.js";
import { memberOf, unbounded } from "./consumer.js";
import { waysInto } from "./context.js";
import type { ConformanceSubject } from "./subject.js";

export const closeCases: ConformanceSubject = {
  name: "close",
  cases: {
    "finishes what is in flight": async ({ ownStore, openReady }) => {
      const store = await ownStore();
      const engine = await openReady(store);
      const { topic, append } = waysInto(engine);
      const name = await topic();
      const appends = Array.from({ length: 20 }, (_, index) => append(name, [`v${index}`]));
      await engine.close();
      const outcomes = await Promise.all(appends);
      for (const outcome of outcomes) assert.ok(outcome.ok, outcome.ok ? "" : outcome.error.message);
      if (!store.keepsRecords) return;
      const { values } = waysInto(await openReady(store));
      assert.equal((await values(name)).length, 20);
    },

    "refuses every later call by name": async ({ ownStore, openReady }) => {
      const engine = await openReady(await ownStore());
      const ways = waysInto(engine);
      const name = await ways.topic();
      const { member, ownership, group } = await ways.consume(name);
      await engine.close();
      const { topics, groups } = engine;
      const closed = { code: "closed" } as const;
      await assertRejects(topics.create("late", { partitions: 1 }), closed);
      await assertRejects(topics.get(name), closed);
      await assertRejects(topics.list(), closed);
      await assertRejects(topics.stats(name), closed);
      await assertRejects(topics.delete(name), closed);
      await assertRejects(ways.read(name), closed);
      await assertRejects(groups.join(memberOf(group, [name]), "earliest"), closed);
      await assertRejects(groups.heartbeat([member]), closed);
      await assertRejects(groups.leave(member), closed);
      await assertRejects(groups.release(member, []), closed);
      await assertRejects(groups.get(group), closed);
      await assertRejects(groups.list(), closed);
      await assertRejects(groups.delete(group), closed);
      await assertRejects(groups.offsets(group), closed);
      await assertRejects(groups.pending(group, ownership), closed);
      const reset = {
        group,
        topic: name,
        to: "latest",
        partitions: undefined,
        dryRun: false,
        expectedVersion: undefined,
      } as const;
      await assertRejects(groups.reset(reset), closed);
      await assertRejects(groups.pause({ group, topic: undefined }), closed);
      await assertRejects(groups.resume({ group, topic: undefined }), closed);
      await assertRejects(groups.claim(ownership), closed);
      assertRefused(await ways.append(name, ["x"]), closed);
      assertRefused((await groups.fetch([{ ownership, position: 0n, ...unbounded }]))[0], closed);
      assertRefused((await groups.settle([{ ownership, entries: [] }]))[0], closed);
    },

    "may be said twice, and status tells": async ({ ownStore, openReady }) => {
      const engine = await openReady(await ownStore());
      await Promise.all([engine.close(), engine.close()]);
      await engine.close();
      const { ready, reason, engine: kind } = await engine.status();
      assert.deepEqual([ready, kind], [false, engine.kind]);
      assert.notEqual(present(reason), "");
    },
  },
};
