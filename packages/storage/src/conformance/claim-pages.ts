import assert from "node:assert/strict";
import { claimWhole } from "../claim-whole.js";
import type { ClaimResult, Engine, LogEntry, Ownership, PendingEntry } from "../engine.js";
import { assertRejects, present } from "./assertions.js";
import { ack, type Consumer, release, retry } from "./consumer.js";
import { startDesk } from "./desk.js";
import type { ConformanceSubject } from "./subject.js";

export const claimPagesCases: ConformanceSubject = {
  name: "claim in pages",
  cases: {
    "tells together what one answer tells": async ({ engine, topic, store, consume }) => {
      const name = await topic();
      const consumer = await consume(name);
      await store(name, entriesOf([1, 2, 1, 5, 3, 1, 1, 4, 2, 2, 6, 1]));
      await unsettle(consumer);
      const whole = await consumer.claim();
      assert.equal(whole.next, undefined);
      assert.equal(whole.pending.length, 10);
      for (const itemsMax of [1, 2, 3, 5, 8, 100]) {
        const pages = await pagesOf(engine, consumer.ownership, itemsMax);
        for (const { pending } of pages)
          assert.ok(pending.length === 1 || most(pending) <= itemsMax, `${most(pending)} items over ${itemsMax}`);
        assert.equal(pages.length === 1, itemsMax === 100, `${pages.length} pages of ${itemsMax}`);
        assert.deepEqual(toldOf(pages.flatMap(({ pending }) => pending)), toldOf(whole.pending));
        for (const { position, endOffset } of pages)
          assert.deepEqual([position, endOffset], [whole.position, whole.endOffset]);
      }
    },

    "goes on only for who has claimed, under the same epoch": async ({ engine, topic, store, consume }) => {
      const name = await topic();
      const { ownership, fetch } = await consume(name);
      await store(name, entriesOf([1, 1, 1]));
      await fetch();
      const { groups } = engine;
      const fenced = { code: "fenced", field: "epoch" } as const;
      const next: Ownership = { ...ownership, memberId: "m2", epoch: ownership.epoch + 1 };
      await assertRejects(groups.claim(next, undefined, { from: 1n, itemsMax: 1 }), fenced);
      const first = await groups.claim(next, undefined, { itemsMax: 1 });
      assert.deepEqual([bases(first), first.next], [[0n], 1n]);
      const second = await groups.claim(next, undefined, { from: 1n, itemsMax: 1 });
      assert.deepEqual([bases(second), second.next], [[1n], 2n]);
      await assertRejects(groups.claim(ownership, undefined, { from: 1n, itemsMax: 1 }), fenced);
      const third = await groups.claim(next, undefined, { from: 2n, itemsMax: 1 });
      assert.deepEqual([bases(third), third.next], [[2n], undefined]);
    },

    "that was cut off leaves everything to the next claim": async ({ engine, topic, store, consume }) => {
      const name = await topic();
      const consumer = await consume(name);
      await store(name, entriesOf([1, 2, 1, 5, 3, 1, 1, 4, 2, 2, 6, 1]));
      await unsettle(consumer);
      const before = toldOf((await consumer.claim()).pending);
      const { ownership } = consumer;
      const second: Ownership = { ...ownership, memberId: "m2", epoch: ownership.epoch + 1 };
      const first = await engine.groups.claim(second, undefined, { itemsMax: 2 });
      assert.equal(first.next === undefined, false);
      const again = await pagesOf(engine, second, 2);
      const once = toldOf(again.flatMap(({ pending }) => pending));
      assert.deepEqual(once, takenOver(before, 1));
      const third: Ownership = { ...ownership, memberId: "m3", epoch: second.epoch + 1 };
      await engine.groups.claim(third, undefined, { itemsMax: 2 });
      const fourth: Ownership = { ...ownership, memberId: "m4", epoch: third.epoch + 1 };
      const { pending } = await claimWhole(inPagesOf(engine, 2), fourth);
      assert.deepEqual(toldOf(pending), takenOver(before, 3));
      const acked = await engine.groups.settle([
        {
          ownership: fourth,
          entries: pending.map(({ baseOffset, recordCount }) => ({
            baseOffset,
            recordCount,
            ranges: [ack(baseOffset, baseOffset + BigInt(recordCount) - 1n)],
          })),
        },
      ]);
      assert.deepEqual(acked, [{ ok: true, refusals: [] }]);
      assert.deepEqual((await engine.groups.claim(fourth)).pending, []);
    },

    "gives a desk what is its own alone": async ({ engine, topic, store, unique }) => {
      const [name, group] = [await topic(), unique("group")];
      const one = await startDesk(engine, group, name, "d1");
      const other = await startDesk(engine, group, name, "d2");
      await store(name, entriesOf([1, 1, 1, 1, 1, 1]));
      const given: LogEntry[][] = [[], []];
      for (let turn = 0; turn < 6; turn++) {
        const at = turn % 2;
        // The first look of a desk that is behind finds what the other has.
        for (let look = 0; look < 2 && present(given[at]).length <= turn / 2; look++)
          given[at]?.push(...(await (at === 0 ? one : other).fetch({ recordsMax: 1 })));
      }
      for (const [at, desk] of [one, other].entries()) {
        const own = present(given[at]).map(({ baseOffset }) => baseOffset);
        assert.equal(own.length, 3);
        for (const base of own)
          await desk.settle([{ baseOffset: base, recordCount: 1, ranges: [retry(base, base, 60_000)] }]);
        const pages = await pagesOf(engine, desk.ownership, 1);
        assert.deepEqual(
          pages.map(bases),
          own.map((base) => [base]),
        );
        assert.deepEqual(
          pages.flatMap(({ pending }) => pending.flatMap((entry) => entry.attempts.map(({ attempts }) => attempts))),
          own.map(() => 1),
        );
      }
    },

    "is made whole with the retry times as of its end": async ({ engine, topic, store, consume }) => {
      const name = await topic();
      const consumer = await consume(name);
      await store(name, entriesOf([2, 2, 2]));
      const delays = [600_000, 60_000, 1];
      for (const [at, { baseOffset, ...entry }] of (await consumer.fetch()).entries())
        await consumer.settle({ ...entry, baseOffset }, [retry(baseOffset, baseOffset, present(delays[at]))]);
      const start = performance.now();
      const { pending, position } = await claimWhole(inPagesOf(engine, 1, 20), consumer.ownership);
      const tookMs = performance.now() - start;
      const { pending: now } = await consumer.claim();
      assert.equal(position, 6n);
      assert.deepEqual(toldOf(pending), toldOf(now));
      for (const [at, entry] of pending.entries()) {
        const [told, later] = [present(entry.due[0]).inMs, present(now[at]?.due[0]).inMs];
        assert.ok(told <= present(delays[at]) && later <= told + 1, `${told} ms, then ${later} ms`);
        // What went by since the page was read is not waited for again.
        if (at === 0) assert.ok(told <= 600_000 - 20, `${told} ms after ${tookMs} ms`);
      }
    },
  },
};

export function entriesOf(counts: readonly number[]): string[][] {
  return counts.map((count, at) => Array.from({ length: count }, (_, index) => `v${at}.${index}`));
}

/** Fetches everything, and does something else with each entry: acked in part, failed, handed back, left alone. The second is settled. */
export async function unsettle(consumer: Consumer): Promise<void> {
  for (const [at, entry] of (await consumer.fetch()).entries()) {
    const { baseOffset: base } = entry;
    const last = base + BigInt(entry.recordCount) - 1n;
    if (at === 1) await consumer.ack([entry]);
    if (at % 4 === 0) await consumer.settle(entry, [retry(base, last, 60_000 + at)]);
    if (at % 4 === 2) await consumer.settle(entry, [release(base)]);
    if (at % 4 === 3) await consumer.settle(entry, [ack(last), ...(last > base ? [retry(base, base, 0)] : [])]);
  }
}

async function pagesOf(engine: Engine, ownership: Ownership, itemsMax: number): Promise<ClaimResult[]> {
  const pages = [await engine.groups.claim(ownership, undefined, { itemsMax })];
  for (let { next } = present(pages[0]); next !== undefined; ) {
    const page = await engine.groups.claim(ownership, undefined, { from: next, itemsMax });
    pages.push(page);
    next = page.next;
  }
  return pages;
}

/** The engine's claim with small pages, each a while after the one before. */
function inPagesOf({ groups }: Engine, itemsMax: number, pauseMs = 0): Pick<Engine["groups"], "claim"> {
  return {
    async claim(ownership, peers, page) {
      const answer = await groups.claim(ownership, peers, { ...page, itemsMax });
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      return answer;
    },
  };
}

/** Of what a page has most: entries, states, retries, hand-backs. */
export function most(pending: readonly PendingEntry[]): number {
  const sum = (countOf: (entry: PendingEntry) => number): number =>
    pending.reduce((total, entry) => total + countOf(entry), 0);
  return Math.max(
    pending.length,
    sum(({ states }) => states.length),
    sum(({ attempts }) => attempts.length),
    sum(({ handBacks }) => handBacks.releases.length),
  );
}

/** Without the times, which go on. */
export function toldOf(pending: readonly PendingEntry[]) {
  return pending.map(({ due, ...entry }) => ({ ...entry, due: due.map(({ index }) => index) }));
}

function takenOver(told: ReturnType<typeof toldOf>, times: number) {
  return told.map(({ handBacks, ...entry }) => ({
    ...entry,
    handBacks: { ...handBacks, takeOvers: handBacks.takeOvers + times },
  }));
}

function bases({ pending }: ClaimResult): bigint[] {
  return pending.map(({ baseOffset }) => baseOffset);
}
