/** A partition that is taken over with more pending entries than one answer of the store tells. */
import { silentLogger } from "@gmq/log";
import { batchChecksum, codecNumbers, createBatchEncoder, GmqError } from "@gmq/protocol";
import type {
  ClaimResult,
  Engine,
  GroupMemberSpec,
  GroupStore,
  Ownership,
  PartitionFetch,
  PartitionSettle,
} from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterEach, expect, it } from "vitest";
import { createCredit } from "./credit.js";
import { createDispatcher } from "./dispatcher.js";
import { createMemberships } from "./membership.js";
import { onlyTaker } from "./takers.js";

const closers: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const spec: GroupMemberSpec = {
  group: "g",
  memberId: "m1",
  incarnation: "m1-1",
  clientId: "c",
  clientVersion: "1",
  brokerId: "b",
  topics: ["t"],
  sessionTimeoutMs: 60_000,
  staticMember: false,
};

const retryAfterMs = 400;

/** Entries of two records each; of every third the second record failed and waits. The first member is gone then. */
async function leaveBehind(engine: Engine, entries: number): Promise<void> {
  await engine.topics.create("t", { partitions: 1 });
  for (let entry = 0; entry < entries; entry++) {
    const encoder = createBatchEncoder();
    for (const value of ["a", "b"]) encoder.add({ value: new TextEncoder().encode(value), timestampMs: 1 });
    const records = encoder.take();
    const numbers = { recordCount: 2, codec: codecNumbers.none, crc32: batchChecksum(records) };
    const nobody = { producerId: 0n, producerEpoch: 0, firstSequence: 0n };
    const batch = { ...numbers, ...nobody, uncompressedBytes: records.length, records };
    const [[outcome] = []] = await engine.log.append([{ topic: "t", partition: 0, batches: [batch] }]);
    expect(outcome?.ok).toBe(true);
  }
  const { groups } = engine;
  const view = await groups.join(spec, "earliest");
  const epoch = view.partitions[0]?.epoch ?? 0;
  const ownership: Ownership = { group: "g", topic: "t", partition: 0, memberId: "m1", epoch };
  await groups.claim(ownership);
  // All but the last entry.
  const recordsMax = 2 * entries - 2;
  await groups.fetch([{ ownership, position: 0n, bytesMax: 1_000_000, recordsMax }]);
  for (let base = 0n; base < BigInt(recordsMax); base += 6n) {
    const range = { firstOffset: base + 1n, lastOffset: base + 1n, verb: "retry" as const, delayMs: retryAfterMs };
    await groups.settle([{ ownership, entries: [{ baseOffset: base, recordCount: 2, ranges: [range] }] }]);
  }
  await groups.leave(spec);
}

it("delivers all of it in order, retries at their time, also when the store goes away between two pages", async () => {
  const engine = await createEmbeddedEngine({ memory: true });
  closers.push(() => engine.close());
  const failedAtMs = performance.now();
  await leaveBehind(engine, 12);
  const asked: (bigint | undefined)[] = [];
  const groups: GroupStore = {
    ...engine.groups,
    async claim(ownership, peers, page = {}) {
      asked.push(page.from);
      if (asked.length === 3) throw new GmqError("store_unavailable", "the store went away");
      return engine.groups.claim(ownership, peers, { ...page, itemsMax: 4 });
    },
  };
  const memberships = createMemberships(groups, silentLogger);
  closers.push(() => memberships.close());
  const delivered: { readonly offset: bigint; readonly failed: number; readonly atMs: number }[] = [];

  function assigned(ownership: Ownership, claim: ClaimResult): void {
    const credit = createCredit();
    credit.grant(1_000, 1_000_000);
    const dispatcher = createDispatcher(
      {
        ownership,
        fetch: async (fetch: PartitionFetch) => (await engine.groups.fetch([fetch]))[0] as never,
        settle: async (settle: PartitionSettle) => (await engine.groups.settle([settle]))[0] as never,
        log: engine.log,
        lost: (error) => expect.unreachable(error.message),
      },
      onlyTaker({
        credit,
        deliver(deliveries) {
          for (const { entry, attempts } of deliveries)
            for (let index = 0; index < entry.recordCount; index++) {
              const failed = attempts.find((one) => one.index === index)?.attempts ?? 0;
              delivered.push({ offset: entry.baseOffset + BigInt(index), failed, atMs: performance.now() });
            }
        },
        writable: () => true,
      }),
      claim,
    );
    closers.push(() => dispatcher.stop());
    dispatcher.pump();
  }

  const unexpected = (): never => expect.unreachable("the member stays");
  const events = { assigned, revoke: unexpected, lost: unexpected, ended: unexpected };
  await memberships.join({ ...spec, memberId: "m2", incarnation: "m2-1" }, "earliest", events);
  await expect.poll(() => delivered.length, { timeout: 15_000 }).toBe(24);
  // The first try ended at its third page.
  expect(asked.slice(0, 4)).toEqual([undefined, expect.any(BigInt), expect.any(BigInt), undefined]);
  expect(asked).toHaveLength(6);
  const offsets = Array.from({ length: 24 }, (_, offset) => BigInt(offset));
  const failed = offsets.filter((offset) => offset % 6n === 1n && offset < 22n);
  const inTurn = delivered.map(({ offset }) => offset);
  expect(inTurn.slice(0, -failed.length)).toEqual(offsets.filter((offset) => !failed.includes(offset)));
  expect(inTurn.slice(-failed.length).sort((one, other) => Number(one - other))).toEqual(failed);
  for (const { offset, failed: times } of delivered) expect(times).toBe(failed.includes(offset) ? 1 : 0);
  for (const { atMs } of delivered.slice(-failed.length))
    expect(atMs - failedAtMs).toBeGreaterThanOrEqual(retryAfterMs);
});
