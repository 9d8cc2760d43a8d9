import assert from "node:assert/strict";
import type { GroupMemberSpec, GroupView, PartitionOwnership } from "../engine.js";
import { present } from "./assertions.js";
import { memberOf } from "./consumer.js";
import { eventually } from "./eventually.js";
import type { ConformanceSubject } from "./subject.js";

const counts = (view: GroupView): Record<string, number> => {
  const owned: Record<string, number> = {};
  for (const { memberId = "nobody" } of view.partitions) owned[memberId] = (owned[memberId] ?? 0) + 1;
  return owned;
};

const asked = (view: GroupView, memberId: string): PartitionOwnership[] =>
  view.partitions.filter((place) => place.memberId === memberId && place.nextMemberId !== undefined);

export const assignmentCases: ConformanceSubject = {
  name: "assignment",
  cases: {
    "an owner that lives keeps a partition until it releases it": async ({ engine: { groups }, topic, unique }) => {
      const [name, group] = [await topic(4), unique("group")];
      const [one, other] = [memberOf(group, [name]), memberOf(group, [name], { memberId: "m2" })];
      const before = await groups.join(one, "earliest");
      const waiting = await groups.join(other, "earliest");
      assert.deepEqual(counts(waiting), { m1: 4 });
      const toRelease = asked(waiting, "m1");
      assert.deepEqual(
        toRelease.map(({ nextMemberId }) => nextMemberId),
        ["m2", "m2"],
      );
      assert.deepEqual(
        waiting.partitions.map(({ epoch }) => epoch),
        before.partitions.map(({ epoch }) => epoch),
      );

      const half = await groups.release(one, toRelease.slice(0, 1));
      assert.deepEqual(counts(half), { m1: 3, m2: 1 });
      const done = await groups.release(one, toRelease.slice(1));
      assert.deepEqual(counts(done), { m1: 2, m2: 2 });
      assert.deepEqual(asked(done, "m1"), []);
      for (const { topic: of, partition, epoch, memberId } of done.partitions) {
        const was = present(before.partitions.find((place) => place.topic === of && place.partition === partition));
        assert.ok(memberId === "m2" ? epoch > was.epoch : epoch === was.epoch);
      }
      assert.deepEqual(await groups.get(group), done);
    },

    "only its owner's present life releases a partition": async ({ engine: { groups }, topic, unique }) => {
      const [name, group] = [await topic(2), unique("group")];
      const [one, other] = [memberOf(group, [name]), memberOf(group, [name], { memberId: "m2" })];
      await groups.join(one, "earliest");
      const view = await groups.join(other, "earliest");
      const places = asked(view, "m1");
      for (const stranger of [other, { ...one, incarnation: "life-0" }, { ...one, memberId: "nobody" }]) {
        assert.deepEqual((await groups.release(stranger, places)).partitions, view.partitions);
      }
      assert.deepEqual((await groups.release(one, [])).partitions, view.partitions);
    },

    "many that join at once share everything once all released": async ({ engine: { groups }, topic, unique }) => {
      const [name, wide, group] = [await topic(6), await topic(3), unique("group")];
      const members: GroupMemberSpec[] = Array.from({ length: 5 }, (_, index) =>
        memberOf(group, index % 2 === 0 ? [name, wide] : [name], { memberId: `m${index}` }),
      );
      await Promise.all(members.map((member) => groups.join(member, "earliest")));
      for (let round = 0; ; round++) {
        assert.ok(round < 50, "it does not come to rest");
        const view = present(await groups.get(group));
        const busy = members.filter(({ memberId }) => asked(view, memberId).length > 0);
        if (busy.length === 0) break;
        await Promise.all(busy.map((member) => groups.release(member, asked(view, member.memberId))));
      }
      const view = present(await groups.get(group));
      assert.equal(view.partitions.length, 9);
      const sizes = Object.values(counts(view));
      assert.equal(sizes.length, 5);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `shares of ${sizes.join(", ")}`);
      for (const { topic: of, memberId } of view.partitions) {
        assert.ok(members.find((member) => member.memberId === memberId)?.topics.includes(of));
      }
      const epochs = view.partitions.map(({ epoch }) => epoch);
      assert.equal(new Set(epochs).size, epochs.length, "one epoch a change of owner");
    },

    "a topic that is made again begins anew with the next heartbeat": async ({ engine, topic, unique, store }) => {
      const { groups, topics } = engine;
      const [name, group] = [await topic(2), unique("group")];
      const member = memberOf(group, [name]);
      const before = await groups.join(member, "latest");
      const epochMax = Math.max(...before.partitions.map(({ epoch }) => epoch));
      await topics.delete(name);
      await topics.create(name, { partitions: 3 });
      await store(name, [["a"]]);
      await eventually(async () => {
        await groups.heartbeat([member]);
        assert.equal((await groups.get(group))?.partitions.length, 3);
      });
      for (const { memberId, epoch } of present(await groups.get(group)).partitions) {
        assert.equal(memberId, "m1");
        assert.ok(epoch > epochMax);
      }
      const position = (await groups.offsets(group)).map((place) => place.position);
      assert.deepEqual(position, [0n, 0n, 0n], "what came before the group saw the topic again is not passed over");
    },

    "a topic that is gone leaves the group with the next heartbeat": async ({ engine, topic, unique }) => {
      const [name, other, group] = [await topic(), await topic(), unique("group")];
      const member = memberOf(group, [name, other]);
      await engine.groups.join(member, "earliest");
      await engine.topics.delete(name);
      await eventually(async () => {
        const [answer] = await engine.groups.heartbeat([member]);
        assert.equal(answer?.fenced, false);
        const view = present(await engine.groups.get(group));
        assert.deepEqual(
          view.partitions.map((place) => place.topic),
          [other],
        );
      });
    },
  },
};
