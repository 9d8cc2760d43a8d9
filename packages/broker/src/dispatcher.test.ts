import { GmqError, limits } from "@gmq/protocol";
import type { Fetched, FollowEvents, LogEntry, PartitionFetch, PartitionSettle, SettleOutcome } from "@gmq/storage";
import { expect, test, vi } from "vitest";
import { createCredit } from "./credit.js";
import { createDispatcher } from "./dispatcher.js";
import type { Dispatcher } from "./dispatcher-handle.js";
import { onlyTaker } from "./takers.js";

const ownership = { topic: "t", partition: 0, group: "g", memberId: "m", epoch: 1 };
const entry: LogEntry = { baseOffset: 0n, recordCount: 3, meta: new Uint8Array(), body: new Uint8Array(3) };
const away: SettleOutcome = { ok: false, error: new GmqError("store_unavailable", "the store is away") };

/** A dispatcher that has delivered one entry of three records; `answers` are the store's to its settlements. */
async function delivered(answers: SettleOutcome[]): Promise<{ dispatcher: Dispatcher; asked: PartitionSettle[] }> {
  const asked: PartitionSettle[] = [];
  const credit = createCredit();
  credit.grant(10, 1_000);
  let count = 0;
  const dispatcher = createDispatcher(
    {
      ownership,
      fetch: async () => ({ ok: true, entries: [entry], position: 3n, endOffset: 3n }),
      settle: async (request) => {
        asked.push(request);
        return answers.shift() ?? { ok: true, refusals: [] };
      },
      log: { read: () => Promise.reject(new GmqError("internal", "nothing is read")) },
      lost: () => undefined,
    },
    onlyTaker({
      credit,
      deliver: (deliveries) => {
        count += deliveries.length;
      },
      writable: () => true,
    }),
    { position: 0n, endOffset: 3n, pending: [] },
  );
  dispatcher.pump();
  await expect.poll(() => count).toBe(1);
  return { dispatcher, asked };
}

const ack = { firstOffset: 0n, lastOffset: 1n, verb: "ack" as const };
const retry = { firstOffset: 2n, lastOffset: 2n, verb: "retry" as const, inPlace: true };

test("what a store that was away did not take is said again, and no attempt is counted twice", async () => {
  const { dispatcher, asked } = await delivered([away, away]);
  // Whether the attempt was counted is not known, and told so; the record comes again all the same.
  expect(await dispatcher.settle([ack, retry])).toMatchObject([
    { firstOffset: 2n, lastOffset: 2n, error: { code: "store_unavailable" } },
  ]);
  expect(asked.map(({ entries }) => entries[0]?.ranges.map(({ verb }) => verb))).toEqual([
    ["ack", "retry"],
    ["ack", "release"],
    ["ack", "release"],
  ]);
  expect(dispatcher.heldRecords).toBe(1);
  dispatcher.stop();
});

test("a dispatcher that has ended tells the store's error instead of waiting for it", async () => {
  const { dispatcher } = await delivered([away, away, away, away, away, away, away, away]);
  const settled = dispatcher.settle([ack]);
  dispatcher.stop();
  await expect(settled).rejects.toMatchObject({ code: "store_unavailable" });
});

test("what a follow tells goes out once and in order; a look ends it first, and reads on from where it ended", async () => {
  const asked: PartitionFetch[] = [];
  const given: bigint[] = [];
  const follows: { readonly fetch: PartitionFetch; readonly events: FollowEvents; isStopped: boolean }[] = [];
  const credit = createCredit();
  credit.grant(10, 1_000);
  const entryAt = (baseOffset: bigint): LogEntry => ({ ...entry, baseOffset, recordCount: 1 });
  const fetchedTo = (position: bigint): Fetched => ({
    ok: true,
    entries: [entryAt(position - 1n)],
    position,
    endOffset: position,
  });
  const dispatcher = createDispatcher(
    {
      ownership,
      fetch: async (fetch) => {
        asked.push(fetch);
        return { ok: true, entries: [], position: fetch.position, endOffset: fetch.position };
      },
      follow(fetch, events) {
        const follow = { fetch, events, isStopped: false };
        follows.push(follow);
        return () => {
          follow.isStopped = true;
        };
      },
      settle: async () => ({ ok: true, refusals: [] }),
      log: { read: () => Promise.reject(new GmqError("internal", "nothing is read")) },
      lost: () => undefined,
    },
    onlyTaker({
      credit,
      deliver: (deliveries) => given.push(...deliveries.map((delivery) => delivery.entry.baseOffset)),
      writable: () => true,
    }),
    { position: 0n, endOffset: 0n, pending: [] },
  );
  dispatcher.pump();
  expect(follows.map(({ fetch }) => [fetch.position, fetch.recordsMax])).toEqual([[0n, 10]]);
  follows[0]?.events.fetched(fetchedTo(1n));
  dispatcher.signal(1n);
  dispatcher.look();
  expect(follows[0]?.isStopped).toBe(true);
  // On its way when it was stopped.
  follows[0]?.events.fetched(fetchedTo(2n));
  expect(asked).toEqual([]);
  follows[0]?.events.ended(undefined);
  await expect.poll(() => follows.length).toBe(2);
  expect(asked.map(({ position }) => position)).toEqual([2n]);
  expect(follows[1]?.fetch).toMatchObject({ position: 2n, recordsMax: 8 });
  expect(given).toEqual([0n, 1n]);
  // The link is gone: asked once more, and not followed before something was read.
  follows[1]?.events.ended(new GmqError("store_unavailable", "the link is lost"));
  await expect.poll(() => asked.length).toBe(2);
  expect(follows.length).toBe(2);
  dispatcher.stop();
});

/** A dispatcher at a log of entries with so many records each; its consumer takes everything. */
function reading(recordCount: number, settle: (request: PartitionSettle) => Promise<SettleOutcome>) {
  const asked: PartitionFetch[] = [];
  const given: [offset: bigint, records: number][] = [];
  const credit = createCredit();
  credit.grant(limits.creditRecordsMax, limits.creditBytesMax);
  const entryAt = (baseOffset: bigint): LogEntry => ({ ...entry, baseOffset, recordCount });
  const dispatcher = createDispatcher(
    {
      ownership,
      async fetch(fetch) {
        asked.push(fetch);
        const position = fetch.position + BigInt(recordCount);
        return { ok: true, entries: [entryAt(fetch.position)], position, endOffset: position };
      },
      settle,
      log: {
        read: async ({ from }) => ({
          entries: [entryAt((from as { offset: bigint }).offset)],
          startOffset: 0n,
          endOffset: 1_000_000n,
        }),
      },
      lost: () => undefined,
    },
    onlyTaker({
      credit,
      deliver: (deliveries) => {
        for (const one of deliveries) given.push([one.entry.baseOffset, one.entry.recordCount]);
      },
      writable: () => true,
    }),
    { position: 0n, endOffset: BigInt(recordCount), pending: [] },
  );
  return { dispatcher, asked, given };
}

const failed = (first: bigint, last: bigint, delayMs: number) =>
  ({ firstOffset: first, lastOffset: last, verb: "retry", delayMs }) as const;

test("an answer that comes after the end begins no wait", async () => {
  vi.useFakeTimers();
  try {
    const { promise, resolve } = Promise.withResolvers<SettleOutcome>();
    const { dispatcher, given } = reading(3, () => promise);
    dispatcher.pump();
    await vi.advanceTimersByTimeAsync(1);
    expect(given).toEqual([[0n, 3]]);
    const settled = dispatcher.settle([failed(0n, 1n, 60_000)]);
    dispatcher.stop();
    resolve({ ok: true, refusals: [] });
    expect(await settled).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("as many records as may wait for their retry hold back what is new, until one of them is due", async () => {
  vi.useFakeTimers();
  try {
    const half = limits.delayedRecordsMax / 2;
    const { dispatcher, asked, given } = reading(half, async () => ({ ok: true, refusals: [] }));
    const endOf = (entries: number): bigint => BigInt(entries * half);
    dispatcher.pump();
    await vi.advanceTimersByTimeAsync(1);
    await dispatcher.settle([failed(0n, endOf(1) - 1n, 60_000)]);
    dispatcher.signal(endOf(2));
    await vi.advanceTimersByTimeAsync(1);
    expect(given).toHaveLength(2);
    await dispatcher.settle([failed(endOf(1), endOf(2) - 1n, 120_000)]);
    dispatcher.signal(endOf(3));
    expect(dispatcher.look()).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked).toHaveLength(2);
    expect(dispatcher.waitsFor).toBe("retries");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(given.slice(2)).toEqual([
      [0n, half],
      [endOf(2), half],
    ]);
    expect(asked.map(({ position }) => position)).toEqual([0n, endOf(1), endOf(2)]);
    dispatcher.stop();
  } finally {
    vi.useRealTimers();
  }
});
