import assert from "node:assert/strict";
import { limits } from "@gmq/protocol";
import { accepted, assertRefused, present } from "./assertions.js";
import { valuesOf } from "./batches.js";
import { ack, memberOf, retry, startConsumer } from "./consumer.js";
import { waysInto } from "./context.js";
import type { ConformanceSubject } from "./subject.js";

const producer = { producerId: 11n, producerEpoch: 1 } as const;

export const reopenCases: ConformanceSubject = {
  name: "an engine opened again",
  cases: {
    "finds everything as it was, where the store keeps its records": async ({ ownStore, openReady }) => {
      const store = await ownStore();
      const first = await openReady(store);
      const before = waysInto(first);
      const name = await before.topic(2);
      const made = present(await first.topics.get(name));
      accepted(await before.append(name, ["a", "b", "c"], { ...producer, firstSequence: 0n }));
      accepted(await before.append(name, ["d"], { dedupeId: "once" }));
      const consumer = await before.consume(name);
      const [entry, whole] = await consumer.fetch();
      await consumer.settle(present(entry), [ack(1n), retry(2n, 2n, 600_000)]);
      await consumer.ack([present(whole)]);
      const view = present(await first.groups.get(consumer.group));
      const place = { topic: name, partition: 0 };
      const idleMs = present((await first.groups.pending(consumer.group, place)).pending[0]).idleMs;
      await first.close();

      const second = await openReady(store);
      const after = waysInto(second);
      if (!store.keepsRecords) {
        assert.equal(await second.topics.get(name), undefined);
        return;
      }
      assert.deepEqual({ ...(await second.topics.get(name)) }, { ...made });
      assert.deepEqual(await after.values(name), ["a", "b", "c", "d"]);
      assert.deepEqual(await second.groups.get(consumer.group), view);
      const [alive] = await second.groups.heartbeat([consumer.member]);
      assert.equal(alive?.fenced, false, "sessions outlive the engine");

      assert.ok(present((await second.groups.pending(consumer.group, place)).pending[0]).idleMs >= idleMs);
      const claimed = await second.groups.claim(consumer.ownership);
      const [pending] = claimed.pending;
      assert.deepEqual([claimed.position, claimed.endOffset, claimed.pending.length], [4n, 4n, 1]);
      assert.deepEqual([pending?.baseOffset, pending?.states, pending?.due.length], [0n, ".a.", 1]);
      assert.ok(present(pending?.due[0]).inMs > 300_000);

      const again = accepted(await after.append(name, ["a", "b", "c"], { ...producer, firstSequence: 0n }));
      assert.deepEqual([again.firstOffset, again.duplicate], [0n, true]);
      assert.equal(accepted(await after.append(name, ["x"], { dedupeId: "once" })).duplicate, true);
      assertRefused(await after.append(name, ["x"], { ...producer, firstSequence: 9n }), { code: "out_of_order" });
      assert.equal(accepted(await after.append(name, ["e"], { ...producer, firstSequence: 3n })).firstOffset, 4n);
      const late = await startConsumer(second, { ...consumer.member, incarnation: "life-2" }, "earliest");
      assert.ok(late.ownership.epoch > consumer.ownership.epoch);
      assert.deepEqual((await late.fetch()).map(valuesOf), [["e"]]);
    },

    "remembers producers over many entries": async ({ ownStore, openReady }) => {
      const store = await ownStore();
      if (!store.keepsRecords) return;
      const before = waysInto(await openReady(store));
      const name = await before.topic();
      // More than an engine keeps between two snapshots of its producers.
      const count = 300;
      for (let sequence = 0; sequence < count; sequence++) {
        accepted(await before.append(name, ["v"], { ...producer, firstSequence: BigInt(sequence) }));
      }
      accepted(await before.append(name, ["other"], { producerId: 12n, firstSequence: 0n }));
      await before.engine.close();
      const after = waysInto(await openReady(store));
      const oldest = count - limits.batchesPerProducer;
      for (let sequence = oldest; sequence < count; sequence++) {
        const again = accepted(await after.append(name, ["v"], { ...producer, firstSequence: BigInt(sequence) }));
        assert.deepEqual([again.firstOffset, again.duplicate], [BigInt(sequence), true]);
      }
      const older = await after.append(name, ["v"], { ...producer, firstSequence: BigInt(oldest - 1) });
      assertRefused(older, { code: "out_of_order" });
      const other = accepted(await after.append(name, ["other"], { producerId: 12n, firstSequence: 0n }));
      assert.deepEqual([other.firstOffset, other.duplicate], [BigInt(count), true]);
      const next = accepted(await after.append(name, ["w"], { ...producer, firstSequence: BigInt(count) }));
      assert.equal(next.firstOffset, BigInt(count + 1));
    },

    "lets members go whose sessions ran out while it was closed": async ({ ownStore, openReady }) => {
      const store = await ownStore();
      if (!store.keepsRecords) return;
      const before = waysInto(await openReady(store));
      const name = await before.topic();
      const member = memberOf("group", [name], { sessionTimeoutMs: 1_000 });
      await before.engine.groups.join(member, "earliest");
      await before.engine.close();
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      const { engine } = waysInto(await openReady(store));
      assert.deepEqual(present(await engine.groups.get("group")).members, []);
      assert.equal((await engine.groups.heartbeat([member]))[0]?.fenced, true);
    },
  },
};
