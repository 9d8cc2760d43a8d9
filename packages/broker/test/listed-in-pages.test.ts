/** What is pending is listed page by page, and no more pages are read than it takes. */
import { deadLetterTopic, redriveGroup } from "@gmq/protocol";
import { AdminService, PendingAction } from "@gmq/protocol/messages";
import type { Engine, GroupStore, Ownership } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

const itemsMax = 4;
const place = { topic: "t", partition: 0 };

let engine: Engine;
let test: TestBroker;
/** Where each page that was asked for began. */
let asked: (bigint | undefined)[];
let progress: GroupStore["progress"];

beforeEach(async () => {
  engine = await createEmbeddedEngine({ memory: true });
  asked = [];
  progress = engine.groups.progress;
  const groups: GroupStore = {
    ...engine.groups,
    pending(group, partition, page = {}) {
      asked.push(page.from);
      return engine.groups.pending(group, partition, { ...page, itemsMax });
    },
    progress: (...of) => progress(...of),
  };
  test = await startTestBroker({ engine: { ...engine, groups } });
  await engine.topics.create("t", { partitions: 1 });
});

afterEach(async () => {
  await test.stop();
  await engine.close();
});

const admin = () => test.client(AdminService);

/** Twelve entries of two records, all handed out. */
async function handOut() {
  const session = await test.session();
  for (let entry = 0; entry < 12; entry++) await session.publish("t", 0, ["a", "b"]);
  await session.subscribe("t", "g", 1);
  session.grant(24);
  await expect.poll(async () => (await session.texts()).length, { timeout: 15_000 }).toBe(24);
  return session;
}

it("for as many records as are asked for, and tells how many there are", async () => {
  await handOut();
  for (const [limit, pages] of [
    [3, [undefined]],
    [8, [undefined]],
    [9, [undefined, 8n]],
    [24, [undefined, 8n, 16n]],
    [1_000, [undefined, 8n, 16n]],
  ] as const) {
    asked = [];
    const { records, unsettledRecords } = await admin().listPending({ ...place, group: "g", limit });
    expect(records.map(({ offset }) => Number(offset))).toEqual(
      Array.from({ length: Math.min(limit, 24) }, (_, at) => at),
    );
    expect([unsettledRecords, asked]).toEqual([24n, pages]);
  }
});

it("to the oldest that is not settled, for what explains the group", async () => {
  await handOut();
  const { conditions } = await admin().explainGroup({ ...place, group: "g" });
  expect(conditions.map(({ text }) => text).join()).toContain(
    "24 records are handed out and not settled, the oldest is offset 0",
  );
  expect(asked).toEqual([undefined]);
});

it("to the last offset that is to be settled", async () => {
  const session = await handOut();
  session.close();
  await expect.poll(async () => (await engine.groups.get("g"))?.members.length, { timeout: 15_000 }).toBe(0);
  for (const [offsets, pages] of [
    [[7n, 1n], [undefined]],
    [
      [1n, 8n],
      [undefined, 8n],
    ],
    [
      [23n, 40n],
      [undefined, 8n, 16n],
    ],
  ] as const) {
    asked = [];
    const request = { ...place, group: "g", offsets: [...offsets], action: PendingAction.ACK, dryRun: true };
    const { outcomes } = await admin().settlePending(request);
    expect(outcomes.map(({ offset, error }) => [offset, error?.code])).toEqual(
      offsets.map((offset) => [offset, offset === 40n ? "not_delivered" : undefined]),
    );
    expect(asked).toEqual(pages);
  }
});

it("with each dead letter once, though more are handed out meanwhile", async () => {
  await handOut();
  const request = { ...place, group: "g", action: PendingAction.DEAD_LETTER };
  for (let offset = 0n; offset < 8n; offset++) await admin().settlePending({ ...request, offsets: [offset] });
  const { groups } = engine;
  const topic = deadLetterTopic("t", "g");
  const member = { group: redriveGroup, memberId: "m", incarnation: "m", topics: [topic], sessionTimeoutMs: 60_000 };
  const view = await groups.join(
    { ...member, clientId: "c", clientVersion: "1", brokerId: "b", staticMember: false },
    "earliest",
  );
  const epoch = view.partitions[0]?.epoch ?? 0;
  const ownership: Ownership = { group: redriveGroup, memberId: "m", topic, partition: 0, epoch };
  await groups.claim(ownership);
  const take = async (position: bigint, recordsMax: number) => {
    const [fetched] = await groups.fetch([{ ownership, position, recordsMax, bytesMax: 1_000_000 }]);
    expect(fetched).toMatchObject({ ok: true, entries: Array(recordsMax).fill({ recordCount: 1 }) });
  };
  await take(0n, 5);
  const range = { firstOffset: 1n, lastOffset: 1n, verb: "ack" as const };
  await groups.settle([{ ownership, entries: [{ baseOffset: 1n, recordCount: 1, ranges: [range] }] }]);
  const pages: (bigint | undefined)[] = [];
  progress = async (group, partition, page) => {
    if (pages.push(page?.from) === 2) await take(5n, 2);
    return groups.progress(group, partition, { ...page, itemsMax: 1 });
  };
  const { letters, complete } = await admin().listDeadLetters({ topic: "t", group: "g" });
  expect(letters.map((letter) => letter.place?.offset)).toEqual([0n, 2n, 3n, 4n, 5n, 6n, 7n]);
  expect(complete).toBe(true);
  expect(pages).toEqual([undefined, 2n, 3n, 4n, 5n, 6n]);
});
