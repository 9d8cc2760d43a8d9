import assert from "node:assert/strict";
import { limits } from "@gmq/protocol";
import { accepted, assertRejects, present } from "./assertions.js";
import type { ConformanceSubject } from "./subject.js";

const badNames = ["", ".", "..", "a b", "a/b", "a:b", "a{b}", "a*", "ä", "n".repeat(limits.nameLengthMax + 1)];

export const topicsCases: ConformanceSubject = {
  name: "topics",
  cases: {
    "a topic that was created is there, empty": async ({ engine: { topics }, unique }) => {
      const name = unique("topic");
      const created = await topics.create(name, { partitions: 3 });
      assert.equal(created.name, name);
      assert.equal(created.config.partitions, 3);
      assert.ok(created.createdAtMs > 0);
      assert.deepEqual({ ...(await topics.get(name)) }, { ...created });
      const stats = await topics.stats(name);
      assert.deepEqual(
        stats.map(({ partition, startOffset, endOffset, entries, lastAppendMs }) => [
          partition,
          startOffset,
          endOffset,
          entries,
          lastAppendMs,
        ]),
        [0, 1, 2].map((partition) => [partition, 0n, 0n, 0, 0]),
      );
    },

    "list names every topic, in order of names": async ({ engine: { topics }, unique }) => {
      const made = ["c", "a", "B", "a-", "a.b"].map(unique);
      for (const name of made) await topics.create(name, { partitions: 2 });
      const listed = (await topics.list()).map(({ name }) => name);
      assert.deepEqual([...listed].sort(), listed);
      for (const name of made) assert.ok(listed.includes(name), `${name} is missing`);
    },

    "a name is taken once, also by those who come at the same time": async ({ engine: { topics }, unique }) => {
      const name = unique("topic");
      const attempts = await Promise.allSettled(
        [1, 2, 3, 4, 5].map((partitions) => topics.create(name, { partitions })),
      );
      const made = attempts.filter((attempt) => attempt.status === "fulfilled");
      assert.equal(made.length, 1);
      assert.deepEqual({ ...(await topics.get(name)) }, { ...present(made[0]).value });
      await assertRejects(topics.create(name, { partitions: 1 }), { code: "topic_exists", field: "topic" });
      assert.equal((await topics.stats(name)).length, present(made[0]).value.config.partitions);
    },

    "a number of partitions outside the limit is refused": async ({ engine: { topics }, unique }) => {
      const name = unique("topic");
      for (const partitions of [0, limits.partitionsMax + 1, -1, 1.5, Number.NaN]) {
        await assertRejects(topics.create(name, { partitions }), {
          code: "invalid_argument",
          field: "config.partitions",
        });
      }
      assert.equal(await topics.get(name), undefined);
    },

    "the largest number of partitions is accepted": async ({ engine: { topics }, unique }) => {
      const name = unique("topic");
      await topics.create(name, { partitions: limits.partitionsMax });
      assert.equal((await topics.get(name))?.config.partitions, limits.partitionsMax);
      await topics.delete(name);
    },

    "a name that breaks the rule is refused, whatever is asked with it": async ({ engine: { topics } }) => {
      const expected = { code: "invalid_name", field: "topic" } as const;
      for (const name of badNames) {
        await assertRejects(topics.create(name, { partitions: 1 }), expected);
        await assertRejects(topics.get(name), expected);
        await assertRejects(topics.delete(name), expected);
        await assertRejects(topics.stats(name), expected);
      }
    },

    "the longest name is accepted": async ({ engine: { topics }, unique }) => {
      const name = unique("topic").padEnd(limits.nameLengthMax, "x");
      await topics.create(name, { partitions: 1 });
      assert.equal((await topics.get(name))?.name, name);
    },

    "a topic that is not there is told": async ({ engine: { topics }, unique }) => {
      const name = unique("topic");
      assert.equal(await topics.get(name), undefined);
      await assertRejects(topics.delete(name), { code: "topic_not_found", field: "topic" });
      await assertRejects(topics.stats(name), { code: "topic_not_found", field: "topic" });
    },

    "stats tell where each partition begins and ends": async ({ engine, topic, append }) => {
      const name = await topic(2);
      await append(name, ["a", "b", "c"]);
      const { appendTimeMs } = accepted(await append(name, ["d"]));
      const [first, second] = await engine.topics.stats(name);
      const { partition, startOffset, endOffset, entries, lastAppendMs } = present(first);
      assert.deepEqual([partition, startOffset, endOffset, entries, lastAppendMs], [0, 0n, 4n, 2, appendTimeMs]);
      assert.deepEqual([second?.partition, second?.endOffset, second?.entries], [1, 0n, 0]);
    },

    "a topic that is deleted and made again is a later one, however fast": async ({ engine: { topics }, topic }) => {
      const name = await topic();
      let before = present(await topics.get(name));
      for (let round = 0; round < 20; round++) {
        await topics.delete(name);
        const again = await topics.create(name, { partitions: 1 });
        assert.ok(again.version > before.version, `version ${again.version} after ${before.version}`);
        assert.ok(again.createdAtMs > before.createdAtMs, "its time of making tells its lives apart");
        before = again;
      }
    },
  },
};
