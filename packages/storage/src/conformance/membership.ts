import assert from "node:assert/strict";
import { limits } from "@gmq/protocol";
import type { GroupMemberSpec, GroupView } from "../engine.js";
import { assertRejects, present } from "./assertions.js";
import { memberOf } from "./consumer.js";
import { eventually } from "./eventually.js";
import type { ConformanceSubject } from "./subject.js";

const memberIds = (view: GroupView | undefined): string[] => present(view, "group").members.map((m) => m.memberId);
const ownersOf = (view: GroupView | undefined): (string | undefined)[] =>
  present(view, "group").partitions.map(({ memberId }) => memberId);

/** Between this process's clock and the store's, which counts whole milliseconds. */
const clockSlackMs = 100;

export const membershipCases: ConformanceSubject = {
  name: "membership",
  cases: {
    "join makes the group, and its view tells all of a member": async ({ engine: { groups }, topic, unique }) => {
      const [name, group] = [await topic(2), unique("group")];
      assert.equal(await groups.get(group), undefined);
      const member = memberOf(group, [name], { staticMember: true, clientId: "c-7", clientVersion: "2.1" });
      const view = await groups.join(member, "earliest");
      assert.equal(view.group, group);
      assert.ok(view.version > 0);
      const { joinedAtMs, ...told } = present(view.members[0]);
      assert.deepEqual({ ...told, topics: [...told.topics] }, member);
      assert.ok(joinedAtMs > 0);
      assert.deepEqual(
        view.partitions.map(({ topic: of, partition, memberId }) => [of, partition, memberId]),
        [
          [name, 0, "m1"],
          [name, 1, "m1"],
        ],
      );
      assert.deepEqual(await groups.get(group), view);
      assert.ok((await groups.list()).some((listed) => listed.group === group && listed.version === view.version));
    },

    "join refuses what breaks a rule, by field": async ({ engine: { groups }, topic, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      const text = "x".repeat(limits.clientTextBytesMax + 1);
      const names = Array.from({ length: limits.topicsPerSubscriptionMax + 1 }, (_, index) => `t${index}`);
      const cases: readonly (readonly [Partial<GroupMemberSpec>, "invalid_argument" | "invalid_name", string])[] = [
        [{ group: "a b" }, "invalid_name", "group"],
        [{ memberId: "" }, "invalid_name", "member_id"],
        [{ memberId: "m/1" }, "invalid_name", "member_id"],
        [{ topics: ["a b"] }, "invalid_name", "topic"],
        [{ incarnation: "" }, "invalid_argument", "incarnation"],
        [{ clientId: text }, "invalid_argument", "client_id"],
        [{ clientVersion: text }, "invalid_argument", "client_version"],
        [{ brokerId: text }, "invalid_argument", "broker_id"],
        [{ topics: [] }, "invalid_argument", "topics"],
        [{ topics: names }, "invalid_argument", "topics"],
        [{ sessionTimeoutMs: limits.sessionTimeoutMsMin - 1 }, "invalid_argument", "session_timeout_ms"],
        [{ sessionTimeoutMs: limits.sessionTimeoutMsMax + 1 }, "invalid_argument", "session_timeout_ms"],
      ];
      for (const [changes, code, field] of cases) {
        await assertRejects(groups.join(memberOf(group, [name], changes), "earliest"), { code, field });
      }
      const missing = memberOf(group, [name, unique("topic")]);
      await assertRejects(groups.join(missing, "earliest"), { code: "topic_not_found", field: "topics" });
      assert.equal(await groups.get(group), undefined);
    },

    "the same life that joins again changes nothing": async ({ engine: { groups }, topic, unique }) => {
      const member = memberOf(unique("group"), [await topic(3)]);
      const first = await groups.join(member, "earliest");
      const again = await groups.join(member, "latest");
      assert.deepEqual(again.members, first.members);
      assert.deepEqual(again.partitions, first.partitions);
    },

    "who lost a partition without giving it back is told, and who gave it back is not": async ({
      engine: { groups },
      topic,
      unique,
    }) => {
      const [name, group] = [await topic(), unique("group")];
      const fenceIn = (view: GroupView | undefined) => present(view, "group").partitions[0]?.fence;
      const first = memberOf(group, [name], { memberId: "m1" });
      assert.equal(fenceIn(await groups.join(first, "earliest")), undefined);
      await groups.leave(first);
      assert.equal(fenceIn(await groups.get(group)), undefined);

      const startedMs = Date.now();
      const short = { memberId: "m2", sessionTimeoutMs: limits.sessionTimeoutMsMin };
      await groups.join(memberOf(group, [name], short), "earliest");
      const again = memberOf(group, [name], { ...short, incarnation: "life-2" });
      const replaced = present(fenceIn(await groups.join(again, "earliest")));
      assert.deepEqual([replaced.memberId, replaced.reason], ["m2", "replaced"]);
      // The store's clock may be another one's.
      assert.ok(Math.abs(replaced.atMs - startedMs) < 60_000);
      await eventually(async () => {
        const { memberId, reason } = present(fenceIn(await groups.get(group)));
        assert.deepEqual([memberId, reason], ["m2", "expired"]);
      });
      const next = await groups.join(memberOf(group, [name], { memberId: "m3" }), "earliest");
      assert.equal(fenceIn(next)?.memberId, "m2");
      assert.deepEqual(ownersOf(next), ["m3"]);
    },

    "heartbeats answer each member, in order": async ({ engine: { groups }, topic, unique }) => {
      const [one, other, nowhere] = [unique("group"), unique("group"), unique("group")];
      const name = await topic();
      const { version } = await groups.join(memberOf(one, [name]), "earliest");
      await groups.join(memberOf(other, [name]), "earliest");
      const answers = await groups.heartbeat([
        memberOf(one, [name], { incarnation: "life-0" }),
        memberOf(nowhere, [name]),
        memberOf(one, [name]),
        memberOf(other, [name], { memberId: "m2" }),
        memberOf(other, [name]),
      ]);
      assert.deepEqual(
        answers.map(({ fenced }) => fenced),
        [true, true, false, true, false],
      );
      assert.ok(present(answers[2]).groupVersion >= version);
      const { nextExpiryInMs } = present(answers[2]);
      assert.ok(nextExpiryInMs !== undefined && nextExpiryInMs > 0 && nextExpiryInMs <= 60_000);
      assert.equal(answers[1]?.nextExpiryInMs, undefined);
      assert.equal(answers[1]?.groupVersion, 0);
      assert.deepEqual(await groups.heartbeat([]), []);
    },

    "leave frees the partitions at once": async ({ engine: { groups }, topic, unique }) => {
      const [name, group] = [await topic(2), unique("group")];
      const [one, other] = [memberOf(group, [name]), memberOf(group, [name], { memberId: "m2" })];
      await groups.join(one, "earliest");
      await groups.join(other, "earliest");
      await groups.leave(one);
      const view = await groups.get(group);
      assert.deepEqual(memberIds(view), ["m2"]);
      assert.deepEqual(ownersOf(view), ["m2", "m2"]);
      await groups.leave(other);
      const empty = await groups.get(group);
      assert.deepEqual(memberIds(empty), []);
      assert.deepEqual(ownersOf(empty), [undefined, undefined]);
      const [alive] = await groups.heartbeat([one]);
      assert.equal(alive?.fenced, true);
    },

    "leave of a life that is gone, or of nobody, has no effect": async ({ engine: { groups }, topic, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      await groups.join(memberOf(group, [name], { incarnation: "life-1" }), "earliest");
      const view = await groups.join(memberOf(group, [name], { incarnation: "life-2" }), "earliest");
      await groups.leave(memberOf(group, [name], { incarnation: "life-1" }));
      await groups.leave(memberOf(group, [name], { memberId: "nobody" }));
      await groups.leave(memberOf(unique("group"), [name]));
      assert.deepEqual(await groups.get(group), view);
    },

    "a later life keeps the partitions under new epochs and fences the earlier": async (context) => {
      const { groups } = context.engine;
      for (const staticMember of [true, false]) {
        const [name, group] = [await context.topic(2), context.unique("group")];
        const early = memberOf(group, [name], { staticMember, incarnation: "life-1" });
        const before = await groups.join(early, "earliest");
        const late = memberOf(group, [name], { staticMember, incarnation: "life-2" });
        const after = await groups.join(late, "earliest");
        assert.deepEqual(ownersOf(after), ["m1", "m1"]);
        assert.deepEqual(memberIds(after), ["m1"]);
        after.partitions.forEach(({ epoch }, index) =>
          assert.ok(epoch > present(before.partitions[index]).epoch, "the epoch has to grow"),
        );
        const answers = await groups.heartbeat([early, late]);
        assert.deepEqual(
          answers.map(({ fenced }) => fenced),
          [true, false],
        );
      }
    },

    "a member without heartbeats goes, one with heartbeats stays": async ({ engine: { groups }, topic, unique }) => {
      const [name, group] = [await topic(2), unique("group")];
      const silent = memberOf(group, [name], { sessionTimeoutMs: limits.sessionTimeoutMsMin });
      const alive = memberOf(group, [name], { memberId: "m2", sessionTimeoutMs: 30_000 });
      const { version } = await groups.join(silent, "earliest");
      await groups.join(alive, "earliest");
      await eventually(async () => {
        const [answer] = await groups.heartbeat([alive]);
        assert.equal(answer?.fenced, false);
        assert.deepEqual(ownersOf(await groups.get(group)), ["m2", "m2"]);
      });
      const view = await groups.get(group);
      assert.deepEqual(memberIds(view), ["m2"]);
      assert.ok(present(view).version > version);
      assert.deepEqual(
        (await groups.heartbeat([silent, alive])).map(({ fenced }) => fenced),
        [true, false],
      );
    },

    "the age of a member's last heartbeat is told to who asks for it": async ({ engine, topic, unique }) => {
      const { groups } = engine;
      const group = unique("group");
      const member = memberOf(group, [await topic()], { sessionTimeoutMs: 60_000 });
      const ageMs = async (): Promise<number> => {
        const view = await groups.get(group, { heartbeats: true });
        return present(present(view, "group").members[0]?.heartbeatAgeMs, "heartbeatAgeMs");
      };
      const joinedMs = performance.now();
      await groups.join(member, "earliest");
      assert.ok((await ageMs()) <= performance.now() - joinedMs + clockSlackMs, "younger than the join");
      await eventually(async () => assert.ok((await ageMs()) >= 4 * clockSlackMs, "it grows"));
      const renewedMs = performance.now();
      await groups.heartbeat([member]);
      // Without the renewal it would be older than this by more than the slack.
      assert.ok((await ageMs()) <= performance.now() - renewedMs + clockSlackMs, "a heartbeat begins it anew");
      assert.equal(present(await groups.get(group)).members[0]?.heartbeatAgeMs, undefined);
      const [listed] = (await groups.list()).filter((view) => view.group === group);
      assert.equal(listed?.members[0]?.heartbeatAgeMs, undefined);
    },

    "a session that ran out is seen by whoever looks at the group": async ({ engine: { groups }, topic, unique }) => {
      const group = unique("group");
      const member = memberOf(group, [await topic()], { sessionTimeoutMs: limits.sessionTimeoutMsMin });
      await groups.join(member, "earliest");
      await eventually(async () => assert.deepEqual(memberIds(await groups.get(group)), []));
      const back = await groups.join({ ...member, incarnation: "life-2" }, "latest");
      assert.deepEqual(ownersOf(back), ["m1"]);
    },

    "groups refuse names that break the rule": async ({ engine: { groups } }) => {
      const expected = { code: "invalid_name", field: "group" } as const;
      for (const group of ["", "a b", "a/b", "a{b}"]) {
        await assertRejects(groups.get(group), expected);
        await assertRejects(groups.delete(group), expected);
        await assertRejects(groups.offsets(group), expected);
        await assertRejects(groups.leave(memberOf(group, [])), expected);
        await assertRejects(groups.release(memberOf(group, []), []), expected);
      }
    },
  },
};
