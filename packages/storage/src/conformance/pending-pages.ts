import assert from "node:assert/strict";
import type { Engine, HeldEntry, HeldPage, TopicPartition } from "../engine.js";
import { pagesOf } from "../pages-of.js";
import { entriesOf, most, toldOf, unsettle } from "./claim-pages.js";
import { startDesk } from "./desk.js";
import type { ConformanceSubject } from "./subject.js";

export const pendingPagesCases: ConformanceSubject = {
  name: "what is pending in pages",
  cases: {
    "pending and progress tell together what a claim tells": async ({ engine, topic, store, consume, unique }) => {
      const { groups } = engine;
      const name = await topic();
      const place = { topic: name, partition: 0 };
      const consumer = await consume(name);
      const { group } = consumer;
      await store(name, entriesOf([1, 2, 1, 5, 3, 1, 1, 4, 2, 2, 6, 1]));
      assert.deepEqual(await looksAt(engine, group, place, 1), [{ pending: [], next: undefined }]);
      await unsettle(consumer);
      await store(name, entriesOf([1]));
      const { position, pending: claimed } = await consumer.claim();
      const whole = await groups.pending(group, place);
      assert.equal(whole.next, undefined);
      assert.deepEqual(whole.pending.map(claimedOf), toldOf(claimed));
      for (const itemsMax of [1, 2, 3, 5, 8, 100]) {
        const pages = await looksAt(engine, group, place, itemsMax);
        for (const { pending } of pages)
          assert.ok(pending.length === 1 || most(pending) <= itemsMax, `${most(pending)} items over ${itemsMax}`);
        assert.equal(pages.length === 1, itemsMax === 100, `${pages.length} pages of ${itemsMax}`);
        assert.deepEqual(
          pages.flatMap(({ pending }) => pending.map(claimedOf)),
          toldOf(claimed),
        );
        const places = [];
        for await (const page of pagesOf((asked) => groups.progress(group, place, { ...asked, itemsMax }))) {
          assert.equal(page.position, position);
          places.push(toldOf(page.pending).map(bare));
        }
        assert.deepEqual(
          places,
          pages.map(({ pending }) => toldOf(pending).map(bare)),
        );
      }
      const places = [];
      for await (const page of pagesOf((asked) => groups.progress(unique("group"), place, asked))) places.push(page);
      assert.deepEqual(places, []);
      // It changes nothing: the owner and what it has are as they were.
      assert.deepEqual(toldOf((await consumer.claim()).pending), toldOf(claimed));
    },

    "pending tells every desk's": async ({ engine, topic, store, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      const one = await startDesk(engine, group, name, "d1");
      const other = await startDesk(engine, group, name, "d2");
      await store(name, entriesOf([1, 1, 1, 1]));
      const owners = new Map<bigint, string>();
      for (let turn = 0; owners.size < 4; turn++) {
        const desk = owners.size % 2 === 0 ? one : other;
        for (const { baseOffset } of await desk.fetch({ recordsMax: 1 }))
          owners.set(baseOffset, desk.ownership.memberId);
        assert.ok(turn < 40, `${owners.size} entries were given`);
      }
      assert.equal(new Set(owners.values()).size, 2);
      const pages = await looksAt(engine, group, { topic: name, partition: 0 }, 1);
      assert.deepEqual(
        pages.map(({ pending }) => pending.map(({ baseOffset, desk }) => [baseOffset, desk])),
        [0n, 1n, 2n, 3n].map((base) => [[base, owners.get(base)]]),
      );
    },
  },
};

async function looksAt(
  { groups }: Engine,
  group: string,
  place: TopicPartition,
  itemsMax: number,
): Promise<HeldPage[]> {
  const pages: HeldPage[] = [];
  for await (const { pending, next } of pagesOf((page) => groups.pending(group, place, { ...page, itemsMax })))
    pages.push({ pending, next });
  return pages;
}

/** Without since when it is with whom, which an engine may tell with a place too. */
function bare({ baseOffset, recordCount, states, attempts, due, handBacks }: ReturnType<typeof toldOf>[number]) {
  return { baseOffset, recordCount, states, attempts, due, handBacks };
}

/** As a claim tells it. */
function claimedOf({ idleMs, desk, due, ...entry }: HeldEntry) {
  assert.ok(idleMs >= 0);
  assert.equal(desk, "");
  return { ...entry, due: due.map(({ index }) => index) };
}
