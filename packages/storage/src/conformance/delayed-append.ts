import assert from "node:assert/strict";
import { decodeEntryMeta, limits } from "@gmq/protocol";
import type { LogBatch } from "../engine.js";
import { accepted, assertRefused, assertRejects, present } from "./assertions.js";
import { batchOf } from "./batches.js";
import { waysInto } from "./context.js";
import { eventually } from "./eventually.js";
import type { ConformanceSubject } from "./subject.js";

const inMs = (delayMs: number): bigint => BigInt(Date.now() + delayMs);
const far = 600_000;

export const delayedAppendCases: ConformanceSubject = {
  name: "append for later",
  cases: {
    "is kept beside the log until its time, then stored once": async ({ topic, append, values, read }) => {
      const name = await topic();
      const deliverAtMs = inMs(2_000);
      const kept = accepted(await append(name, ["later"], { dedupeId: "d-1", deliverAtMs }));
      assert.deepEqual([kept.firstOffset, kept.duplicate, kept.scheduled], [-1n, false, true]);
      accepted(await append(name, ["later"], { dedupeId: "d-1", deliverAtMs }));
      const now = accepted(await append(name, ["now"]));
      assert.deepEqual([now.firstOffset, now.scheduled ?? false], [0n, false]);
      await eventually(async () => assert.deepEqual(await values(name), ["now", "later"]));
      const [, entry] = (await read(name)).entries;
      const { appendTimeMs, batches } = decodeEntryMeta(present(entry).meta);
      assert.ok(appendTimeMs >= Number(deliverAtMs), `stored ${Number(deliverAtMs) - appendTimeMs} ms early`);
      assert.equal(batches[0]?.dedupeId, "d-1");
      const again = accepted(await append(name, ["again"], { dedupeId: "d-1" }));
      assert.deepEqual([again.firstOffset, again.duplicate], [1n, true]);
    },

    "answers in the shape of the call": async ({ engine, topic, values }) => {
      const name = await topic(2);
      const later = (value: string, dedupeId: string): LogBatch =>
        batchOf([value], { dedupeId, deliverAtMs: inMs(far) });
      const outcomes = await engine.log.append([
        { topic: name, partition: 0, batches: [batchOf(["a"]), later("x", "1"), batchOf(["b"])] },
        { topic: name, partition: 2, batches: [later("x", "2")] },
        { topic: name, partition: 0, batches: [later("x", "3"), batchOf(["c"])] },
      ]);
      const told = outcomes.map((list) =>
        list.map((outcome) => (outcome.ok ? outcome.firstOffset : outcome.error.code)),
      );
      assert.deepEqual(told, [[0n, -1n, 1n], ["partition_not_found"], [-1n, 2n]]);
      assert.deepEqual(await values(name), ["a", "b", "c"]);
    },

    "goes into the log in order of times": async ({ topic, append, values }) => {
      const name = await topic();
      const start = Date.now() + 2_000;
      for (const [value, delayMs] of [
        ["third", 120],
        ["first", 0],
        ["second", 60],
      ] as const) {
        accepted(await append(name, [value], { dedupeId: value, deliverAtMs: BigInt(start + delayMs) }));
      }
      await eventually(async () => assert.deepEqual(await values(name), ["first", "second", "third"]));
    },

    "a time that has passed is now": async ({ topic, append }) => {
      const outcome = accepted(await append(await topic(), ["v"], { dedupeId: "d", deliverAtMs: inMs(-5_000) }));
      assert.equal(outcome.firstOffset, 0n);
    },

    "refuses what it cannot know again, is too far, or is unsound": async ({ topic, append, unique, values }) => {
      const name = await topic();
      const deliverAtMs = inMs(far);
      const invalid = "invalid_argument" as const;
      assertRefused(await append(name, ["v"], { deliverAtMs }), { code: invalid, field: "batch.dedupe_id" });
      const numbered = { deliverAtMs, dedupeId: "d", producerId: 4n };
      assertRefused(await append(name, ["v"], numbered), { code: invalid, field: "batch.producer_id" });
      const late = { dedupeId: "d", deliverAtMs: inMs(limits.deliverAfterMsMax + 60_000) };
      assertRefused(await append(name, ["v"], late), { code: invalid, field: "batch.deliver_at_ms" });
      const corrupt = { dedupeId: "d", deliverAtMs, crc32: 1 };
      assertRefused(await append(name, ["v"], corrupt), { code: "batch_corrupt", field: "batch.crc32" });
      const sound = { dedupeId: "d", deliverAtMs };
      assertRefused(await append(unique("topic"), ["v"], sound), { code: "topic_not_found", field: "topic" });
      assert.deepEqual(await values(name), []);
    },

    "is told by number and time while it waits": async ({ engine, topic, append, unique }) => {
      const name = await topic(2);
      const place = { topic: name, partition: 0 };
      assert.deepEqual(await engine.log.scheduled(place), { batches: 0, nextInMs: undefined });
      accepted(await append(name, ["soon"], { dedupeId: "1", deliverAtMs: inMs(3_000) }));
      accepted(await append(name, ["later"], { dedupeId: "2", deliverAtMs: inMs(far) }));
      const { batches, nextInMs } = await engine.log.scheduled(place);
      assert.equal(batches, 2);
      assert.ok(nextInMs !== undefined && nextInMs >= 0 && nextInMs <= 3_000, String(nextInMs));
      await eventually(async () => assert.equal((await engine.log.scheduled(place)).batches, 1));
      assert.ok(((await engine.log.scheduled(place)).nextInMs ?? 0) > 3_000);
      assert.equal((await engine.log.scheduled({ topic: name, partition: 1 })).batches, 0);
      await assertRejects(engine.log.scheduled({ topic: name, partition: 2 }), {
        code: "partition_not_found",
        field: "partition",
      });
      await assertRejects(engine.log.scheduled({ topic: unique("topic"), partition: 0 }), {
        code: "topic_not_found",
        field: "topic",
      });
    },

    "goes with its topic": async ({ engine, topic, append, values }) => {
      const name = await topic();
      accepted(await append(name, ["old"], { dedupeId: "d", deliverAtMs: inMs(500) }));
      await engine.topics.delete(name);
      await engine.topics.create(name, { partitions: 1 });
      accepted(await append(name, ["new"], { dedupeId: "e", deliverAtMs: inMs(900) }));
      await eventually(async () => assert.deepEqual(await values(name), ["new"]));
    },

    "outlives the engine, where the store keeps its records": async ({ ownStore, openReady }) => {
      const store = await ownStore();
      const { engine, topic, append } = waysInto(await openReady(store));
      const name = await topic();
      accepted(await append(name, ["due while closed"], { dedupeId: "1", deliverAtMs: inMs(300) }));
      const closing = append(name, ["due later"], { dedupeId: "2", deliverAtMs: inMs(1_500) });
      await engine.close();
      accepted(await closing);
      if (!store.keepsRecords) return;
      const { values } = waysInto(await openReady(store));
      await eventually(async () => assert.deepEqual(await values(name), ["due while closed", "due later"]));
    },
  },
};
