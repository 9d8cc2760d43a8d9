import assert from "node:assert/strict";
import {
  batchChecksum,
  codecNumbers,
  compressBatch,
  deadLetterTopic,
  decodeEntry,
  encodeRecords,
  limits,
  type PlacedRecord,
  readDeadLetterFacts,
} from "@gmq/protocol";
import type { SettleRange } from "../engine.js";
import { assertRefused, present } from "./assertions.js";
import { batchOf } from "./batches.js";
import { ack, memberOf, release, retry, startConsumer } from "./consumer.js";
import type { ConformanceContext } from "./context.js";
import type { ConformanceSubject } from "./subject.js";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function reject(firstOffset: bigint, lastOffset = firstOffset, reason = "bad"): SettleRange {
  return { firstOffset, lastOffset, verb: "reject", reason, errorText: "Error: no" };
}

/** Everything in partition 0 of a group's dead-letter topic. */
async function lettersOf({ read }: ConformanceContext, topic: string, group: string): Promise<PlacedRecord[]> {
  const letters: PlacedRecord[] = [];
  for (const entry of (await read(deadLetterTopic(topic, group))).entries)
    for await (const letter of decodeEntry(entry)) letters.push(letter);
  return letters;
}

export const deadLetterCases: ConformanceSubject = {
  name: "dead letters",
  cases: {
    "keep everything of the record, say where it comes from and why, and are stored once": async (context) => {
      const { engine, topic, consume, progress } = context;
      const name = await topic(2);
      const own = {
        key: encoder.encode("k"),
        value: new Uint8Array([1, 2]),
        headers: [{ key: "trace", value: encoder.encode("t1") }],
      };
      const records = encodeRecords([
        { ...own, timestampMs: 7 },
        { ...own, timestampMs: 8 },
      ]);
      const bytes = { records, crc32: batchChecksum(records), uncompressedBytes: records.length };
      await engine.log.append([{ topic: name, partition: 0, batches: [{ ...batchOf(["", ""]), ...bytes }] }]);
      const consumer = await consume(name);
      const { group } = consumer;
      const entry = present((await consumer.fetch())[0]);
      await consumer.settle(entry, [retry(1n, 1n, 0)]);
      // A failed try that travels with the reject counts too.
      assert.deepEqual(await consumer.settle(entry, [retry(1n, 1n, 0), reject(1n)]), []);
      // Sent again: accepted, and the first reason stays.
      assert.deepEqual(await consumer.settle(entry, [reject(1n, 1n, "another")]), []);
      assert.equal((await progress(group, name)).unsettledRecords, 1);
      const [letter, ...more] = await lettersOf(context, name, group);
      assert.equal(more.length, 0);
      assert.deepEqual(
        [decoder.decode(letter?.key), [...(letter?.value ?? [])], letter?.headers[0]?.key],
        ["k", [1, 2], "trace"],
      );
      const { atMs, ...facts } = present(readDeadLetterFacts(letter?.headers ?? []), "facts");
      assert.ok(Math.abs(atMs - Date.now()) < 3_600_000);
      assert.deepEqual(facts, {
        topic: name,
        partition: 0,
        offset: 1n,
        group,
        reason: "bad",
        errorText: "Error: no",
        attempts: 3,
        timestampMs: 8,
      });
      assert.equal((await engine.topics.get(deadLetterTopic(name, group)))?.config.partitions, 2);
      // The entry leaves the pending list with its last record.
      assert.deepEqual(await consumer.settle(entry, [ack(0n)]), []);
      assert.deepEqual((await consumer.claim()).pending, []);
      assert.equal((await progress(group, name)).unsettledRecords, 0);
      assert.deepEqual(await consumer.settle(entry, [reject(0n, 1n)]), []);
      assert.equal((await lettersOf(context, name, group)).length, 1);
    },

    "come out of compressed batches, in any number and in order": async (context) => {
      const { engine, topic, consume } = context;
      const name = await topic();
      const count = 700;
      const values = Array.from({ length: count }, (_, index) => `v${index}`);
      const plain = encodeRecords(values.map((value) => ({ value: encoder.encode(value), timestampMs: 1 })));
      const records = await compressBatch("zstd", plain);
      const packed = { codec: codecNumbers.zstd, records, crc32: batchChecksum(records) };
      const batch = { ...batchOf(values), ...packed, uncompressedBytes: plain.length };
      await engine.log.append([{ topic: name, partition: 0, batches: [batch] }]);
      const consumer = await consume(name);
      const entry = present((await consumer.fetch())[0]);
      assert.deepEqual(await consumer.settle(entry, [reject(1n, BigInt(count - 1))]), []);
      const letters = await lettersOf(context, name, consumer.group);
      assert.deepEqual(
        letters.map(({ value }) => decoder.decode(value)),
        values.slice(1),
      );
    },

    "are refused of what was acked, was never delivered, or makes no sense": async (context) => {
      const { topic, store, consume } = context;
      const name = await topic();
      await store(name, [["a", "b", "c"]]);
      const consumer = await consume(name);
      const entry = present((await consumer.fetch())[0]);
      await consumer.settle(entry, [ack(0n)]);
      const codes = async (range: SettleRange, base = 0n): Promise<string[]> =>
        (await consumer.settle({ ...entry, baseOffset: base }, [range])).map(({ error }) => error.code);
      assert.deepEqual(await codes(reject(0n, 1n)), ["already_settled"]);
      assert.deepEqual(await codes(reject(1n)), []);
      assert.deepEqual(await codes(retry(1n, 1n, 0)), ["already_settled"]);
      assert.deepEqual(await codes(reject(3n)), ["not_delivered"]);
      assert.deepEqual(await codes(reject(3n), 3n), ["not_delivered"]);
      const long = "x".repeat(limits.rejectErrorTextBytesMax + 1);
      assert.deepEqual(await codes({ ...reject(2n), errorText: long }), ["invalid_argument"]);
      assert.equal((await lettersOf(context, name, consumer.group)).length, 1);
    },

    "are not made by an owner that was replaced": async (context) => {
      const { engine, topic, store, consume } = context;
      const name = await topic();
      await store(name, [["a"]]);
      const consumer = await consume(name);
      const { baseOffset, recordCount } = present((await consumer.fetch())[0]);
      const ownership = { ...consumer.ownership, epoch: consumer.ownership.epoch + 1 };
      await engine.groups.claim(ownership);
      const entries = [{ baseOffset, recordCount, ranges: [reject(0n)] }];
      const [outcome] = await engine.groups.settle([{ ownership: consumer.ownership, entries }]);
      assertRefused(outcome, { code: "fenced" });
      assert.equal(await engine.topics.get(deadLetterTopic(name, consumer.group)), undefined);
    },

    "of a record that is read again and rejected again are new ones": async (context) => {
      const { engine, topic, store } = context;
      const name = await topic();
      await store(name, [["a"]]);
      const member = memberOf(context.unique("group"), [name]);
      for (let life = 0; life < 2; life++) {
        const consumer = await startConsumer(engine, member, "earliest");
        await consumer.settle(present((await consumer.fetch())[0]), [reject(0n)]);
        await engine.groups.leave(member);
        await engine.groups.delete(member.group);
        // The rejections are told apart by their time.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.equal((await lettersOf(context, name, member.group)).length, 2);
    },

    "that are rejected in their dead-letter topic stay there and make no other topic": async (context) => {
      const { engine, topic, store, consume } = context;
      const name = await topic();
      await store(name, [["a"]]);
      const first = await consume(name);
      await first.settle(present((await first.fetch())[0]), [reject(0n)]);
      const deadLetters = deadLetterTopic(name, first.group);
      const second = await consume(deadLetters);
      assert.deepEqual(await second.settle(present((await second.fetch())[0]), [reject(0n)]), []);
      assert.deepEqual((await second.claim()).pending, []);
      assert.equal(await engine.topics.get(deadLetterTopic(deadLetters, second.group)), undefined);
      assert.equal((await lettersOf(context, name, first.group)).length, 1);
    },

    "count attempts; releases and take-overs are counted apart": async ({ engine, topic, store, consume }) => {
      const name = await topic();
      await store(name, [["a", "b"]]);
      const first = await consume(name);
      const entry = present((await first.fetch())[0]);
      await first.settle(entry, [release(1n)]);
      await first.settle(entry, [release(1n), retry(0n, 0n, 0)]);
      const releases = [{ index: 1, releases: 2 }];
      const seen = async (pending: Awaited<ReturnType<typeof first.claim>>["pending"]) =>
        pending.map(({ attempts, handBacks }) => ({
          attempts: attempts.map((item) => ({ index: item.index, attempts: item.attempts })),
          takeOvers: handBacks.takeOvers,
          releases: handBacks.releases.map((item) => ({ index: item.index, releases: item.releases })),
        }));
      const attempts = [{ index: 0, attempts: 1 }];
      assert.deepEqual(await seen((await first.claim()).pending), [{ attempts, takeOvers: 0, releases }]);
      await engine.groups.leave(first.member);
      const second = await startConsumer(engine, { ...first.member, memberId: "m2" }, "earliest");
      const taken = [{ attempts, takeOvers: 1, releases }];
      assert.deepEqual(await seen(second.claimed.pending), taken);
      assert.deepEqual(await seen((await second.claim()).pending), taken);
      const place = { topic: name, partition: 0 };
      const progress = present(await engine.groups.progress(first.group, place), "progress");
      assert.deepEqual(await seen([...progress.pending]), taken);
      assert.equal(progress.position, 2n);
      assert.equal(await engine.groups.progress("nobody", place), undefined);
    },
  },
};
