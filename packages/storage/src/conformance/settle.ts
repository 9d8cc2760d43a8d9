import assert from "node:assert/strict";
import { limits } from "@gmq/protocol";
import type { PendingEntry, SettleRange, SettleRefusal } from "../engine.js";
import { accepted, assertRefused, present } from "./assertions.js";
import { ack, release, retry, wholly } from "./consumer.js";
import type { ConformanceSubject } from "./subject.js";

const statesOf = (pending: readonly PendingEntry[]): readonly (readonly [bigint, string])[] =>
  pending.map(({ baseOffset, states }) => [baseOffset, states]);

const told = (refusals: readonly SettleRefusal[]): readonly unknown[][] =>
  refusals.map(({ firstOffset, lastOffset, error }) => [firstOffset, lastOffset, error.code]);

export const settleCases: ConformanceSubject = {
  name: "settle",
  cases: {
    "an entry whose records are all acked is not pending any more": async ({ topic, store, consume, progress }) => {
      const name = await topic();
      await store(name, [["a", "b", "c"], ["d"]]);
      const consumer = await consume(name);
      const [first, second] = await consumer.fetch();
      await consumer.ack([present(second)]);
      assert.deepEqual(statesOf((await consumer.claim()).pending), [[0n, ""]]);
      await consumer.ack([present(first)]);
      assert.deepEqual((await consumer.claim()).pending, []);
      assert.equal((await progress(consumer.group, name)).unsettledRecords, 0);
    },

    "ranges come in any order, in one call or many": async ({ topic, store, consume, progress }) => {
      const name = await topic();
      await store(name, [["a", "b", "c", "d", "e", "f"]]);
      const consumer = await consume(name);
      const entry = present((await consumer.fetch())[0]);
      assert.deepEqual(await consumer.settle(entry, [ack(4n), ack(1n, 2n)]), []);
      assert.deepEqual(statesOf((await consumer.claim()).pending), [[0n, ".aa.a."]]);
      assert.equal((await progress(consumer.group, name)).unsettledRecords, 3);
      await consumer.settle(entry, [ack(0n)]);
      await consumer.settle(entry, [ack(5n), ack(3n)]);
      assert.deepEqual((await consumer.claim()).pending, []);
    },

    "what is settled is accepted again": async ({ topic, store, consume, progress }) => {
      const name = await topic();
      await store(name, [["a", "b"], ["c"]]);
      const consumer = await consume(name);
      const entries = await consumer.fetch();
      const first = present(entries[0]);
      await consumer.settle(first, [ack(0n)]);
      assert.deepEqual(await consumer.settle(first, [ack(0n, 1n)]), []);
      assert.deepEqual(await consumer.settle(first, [ack(0n, 1n)]), []);
      assert.deepEqual(await consumer.settle(first, [ack(1n), release(0n)]), []);
      assert.equal((await progress(consumer.group, name)).unsettledRecords, 1);
    },

    "retry counts attempts and says when each record is due": async ({ topic, store, consume, progress }) => {
      const name = await topic();
      await store(name, [["a", "b", "c", "d"]]);
      const consumer = await consume(name);
      const entry = present((await consumer.fetch())[0]);
      await consumer.settle(entry, [retry(1n, 2n, 40_000)]);
      await consumer.settle(entry, [retry(2n, 2n, 80_000), retry(3n, 3n, 0)]);
      await consumer.settle(entry, [{ firstOffset: 0n, lastOffset: 0n, verb: "retry", inPlace: true }]);
      const [pending] = (await consumer.claim()).pending;
      const { states, attempts, due } = present(pending);
      assert.equal(states, "");
      assert.deepEqual(
        attempts.map((item) => [item.index, item.attempts]),
        [
          [0, 1],
          [1, 1],
          [2, 2],
          [3, 1],
        ],
      );
      assert.deepEqual(
        due.map(({ index }) => index),
        [1, 2, 3],
      );
      const [one, two, three] = due.map(({ inMs }) => inMs);
      assert.ok(present(one) > 0 && present(one) <= 40_000);
      assert.ok(present(two) > 40_000 && present(two) <= 80_000);
      assert.equal(three, 0);
      assert.equal((await progress(consumer.group, name)).unsettledRecords, 4);
    },

    "the delay of a retry may be as long as the limit": async ({ topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a"]]);
      const consumer = await consume(name);
      const entry = present((await consumer.fetch())[0]);
      const delayMs = limits.retryDelayMsMax;
      assert.deepEqual(await consumer.settle(entry, [{ firstOffset: 0n, lastOffset: 0n, verb: "retry", delayMs }]), []);
      const { due, attempts } = present((await consumer.claim()).pending[0]);
      assert.equal(attempts[0]?.attempts, 1);
      assert.ok(present(due[0]).inMs > 0);
    },

    "ack ends the attempts of a record": async ({ topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a", "b", "c"]]);
      const consumer = await consume(name);
      const entry = present((await consumer.fetch())[0]);
      await consumer.settle(entry, [retry(0n, 1n, 0)]);
      await consumer.settle(entry, [ack(0n)]);
      await consumer.settle(entry, [retry(2n, 2n, 0), ack(2n)]);
      const [pending] = (await consumer.claim()).pending;
      assert.equal(pending?.states, "a.a");
      assert.deepEqual(
        pending?.attempts.map((item) => [item.index, item.attempts]),
        [[1, 1]],
      );
      assert.deepEqual(
        pending?.due.map(({ index }) => index),
        [1],
      );
    },

    "release changes nothing": async ({ topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a", "b"]]);
      const consumer = await consume(name);
      const entry = present((await consumer.fetch())[0]);
      await consumer.settle(entry, [release(0n, 1n)]);
      const { baseOffset, recordCount, states, attempts, due } = present((await consumer.claim()).pending[0]);
      assert.deepEqual([baseOffset, recordCount, states, attempts, due], [0n, 2, "", [], []]);
    },

    "a settled record cannot be retried; the other ranges take effect": async ({ topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a", "b", "c", "d"], ["e"]]);
      const consumer = await consume(name);
      const [entry, whole] = await consumer.fetch();
      await consumer.settle(present(entry), [ack(1n)]);
      const refusals = await consumer.settle(present(entry), [retry(0n, 1n, 0), ack(3n), retry(2n, 2n, 0)]);
      assert.deepEqual(told(refusals), [[0n, 1n, "already_settled"]]);
      assert.equal(refusals[0]?.error.field, "settle.ranges");
      const [pending] = (await consumer.claim()).pending;
      assert.equal(pending?.states, ".a.a");
      assert.deepEqual(
        pending?.attempts.map(({ index }) => index),
        [2],
      );
      await consumer.ack([present(whole)]);
      assert.deepEqual(told(await consumer.settle(present(whole), [retry(4n, 4n, 0)])), [[4n, 4n, "already_settled"]]);
    },

    "what was not delivered is refused; the other ranges take effect": async ({ topic, store, consume, progress }) => {
      const name = await topic();
      await store(name, [["a", "b"], ["c"], ["d"]]);
      const consumer = await consume(name);
      const [entry] = await consumer.fetch({ recordsMax: 1 });
      const beyond = [ack(1n, 2n), ack(5n), ack(0n)];
      assert.deepEqual(told(await consumer.settle(present(entry), beyond)), [
        [1n, 2n, "not_delivered"],
        [5n, 5n, "not_delivered"],
      ]);
      const refusals = await consumer.settleEntries([
        { baseOffset: 2n, recordCount: 1, ranges: [ack(2n), retry(2n, 2n, 0)] },
        { baseOffset: 0n, recordCount: 2, ranges: [ack(1n)] },
        { baseOffset: 40n, recordCount: 3, ranges: [release(40n)] },
      ]);
      assert.deepEqual(told(refusals), [
        [2n, 2n, "not_delivered"],
        [2n, 2n, "not_delivered"],
        [40n, 40n, "not_delivered"],
      ]);
      assert.equal(refusals[0]?.error.field, "settle.ranges");
      const { position, unsettledRecords } = await progress(consumer.group, name);
      assert.deepEqual([position, unsettledRecords], [2n, 0]);
    },

    "a range that makes no sense is refused alone": async ({ topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a", "b", "c"]]);
      const consumer = await consume(name);
      const entry = present((await consumer.fetch())[0]);
      const turned: SettleRange = ack(2n, 1n);
      const delays = [limits.retryDelayMsMax + 1, -1, 0.5, 1e15, Number.NaN];
      const refusals = await consumer.settle(entry, [
        turned,
        ack(0n),
        ...delays.map((delayMs): SettleRange => retry(2n, 2n, delayMs)),
      ]);
      assert.deepEqual(told(refusals), [
        [2n, 1n, "invalid_argument"],
        ...delays.map(() => [2n, 2n, "invalid_argument"]),
      ]);
      assert.deepEqual(
        refusals.map(({ error }) => error.field),
        ["ranges.last_offset", ...delays.map(() => "ranges.delay_ms")],
      );
      const { states, attempts } = present((await consumer.claim()).pending[0]);
      assert.deepEqual([states, attempts], ["a..", []]);
    },

    "answers many partitions in order, each for itself": async ({ engine, topic, store, consume, unique }) => {
      const [name, other] = [await topic(), await topic()];
      await store(name, [["a"]]);
      await store(other, [["b"]]);
      const [one, two] = [await consume(name), await consume(other)];
      const [mine, theirs] = [await one.fetch(), await two.fetch()];
      const outcomes = await engine.groups.settle([
        { ownership: { ...one.ownership, epoch: one.ownership.epoch - 1 }, entries: mine.map(wholly) },
        { ownership: two.ownership, entries: theirs.map(wholly) },
        { ownership: { ...one.ownership, topic: unique("topic") }, entries: mine.map(wholly) },
        { ownership: one.ownership, entries: [] },
      ]);
      assertRefused(outcomes[0], { code: "fenced", field: "epoch" });
      assert.deepEqual(accepted(outcomes[1]).refusals, []);
      assertRefused(outcomes[2], { code: "topic_not_found", field: "topic" });
      assert.deepEqual(accepted(outcomes[3]).refusals, []);
      assert.equal((await one.claim()).pending.length, 1);
      assert.equal((await two.claim()).pending.length, 0);
      assert.deepEqual(await engine.groups.settle([]), []);
    },

    "takes many entries in one call": async ({ topic, append, consume, progress }) => {
      const name = await topic();
      const consumer = await consume(name);
      const count = 300;
      // One after another: each is an entry of its own.
      for (let at = 0; at < count; at++) accepted(await append(name, ["v"]));
      const seen = [];
      for (let got = await consumer.fetch(); got.length > 0; got = await consumer.fetch()) seen.push(...got);
      assert.equal(seen.length, count);
      await consumer.ack(seen);
      assert.deepEqual((await consumer.claim()).pending, []);
      assert.equal((await progress(consumer.group, name)).lagRecords, 0);
    },
  },
};
