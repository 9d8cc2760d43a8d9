/** A redrive names each letter: where it went, that it was passed over, or why it stays. */
import { GmqError } from "@gmq/protocol";
import {
  AdminService,
  type DeadLetterPlace,
  type MovedLetter,
  PendingAction,
  RedriveAction,
  type RedriveProgress,
} from "@gmq/protocol/messages";
import type { Engine, GroupStore, LogStore, PartitionSettle } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let engine: Engine;
let append: LogStore["append"];
let settle: GroupStore["settle"];
let test: TestBroker;

beforeEach(async () => {
  engine = await createEmbeddedEngine({ memory: true });
  append = (appends) => engine.log.append(appends);
  settle = (settles) => engine.groups.settle(settles);
  test = await startTestBroker({
    engine: {
      ...engine,
      log: { ...engine.log, append: (appends) => append(appends) },
      groups: { ...engine.groups, settle: (settles) => settle(settles) },
    },
  });
  await engine.topics.create("t", { partitions: 2 });
});

afterEach(async () => {
  await test.stop();
  await engine.close();
});

const admin = () => test.client(AdminService);

/** Stores records in partition 1 and lets the group give all of them up, last one first. */
async function giveUp(count: number): Promise<void> {
  const session = await test.session();
  const texts = Array.from({ length: count }, (_, index) => `r${index}`);
  await session.publish("t", 1, texts);
  await session.subscribe("t", "g", 2);
  session.grant(count);
  await expect.poll(async () => (await session.texts()).length).toBe(count);
  const offsets = texts.map((_, index) => BigInt(count - 1 - index));
  await admin().settlePending({ group: "g", topic: "t", partition: 1, offsets, action: PendingAction.DEAD_LETTER });
  session.close();
}

async function redrive(
  more: { action?: RedriveAction; redrivesMax?: number; dryRun?: boolean } = {},
): Promise<{ frames: RedriveProgress[]; failures: string[] }> {
  const frames: RedriveProgress[] = [];
  const failures: string[] = [];
  for await (const { event } of admin().redrive({ topic: "t", group: "g", ...more })) {
    if (event.case === "progress") frames.push(event.value);
    else if (event.case === "failure") failures.push(`${nameOf(event.value.place)} ${event.value.error?.code}`);
  }
  return { frames, failures };
}

const nameOf = (place: DeadLetterPlace | undefined): string => `${place?.partition}/${place?.offset}`;
const shown = ({ place, to }: MovedLetter): string =>
  `${nameOf(place)}${to === undefined ? "" : ` → ${to.topic}/${to.partition}/${to.offset}`}`;
const movedIn = (frames: readonly RedriveProgress[]): string[] =>
  frames.flatMap(({ movedLetters }) => movedLetters.map(shown));

it("says where each letter is stored now, each once and at most 100 in a frame", async () => {
  await giveUp(250);
  const { letters } = await admin().listDeadLetters({ topic: "t", group: "g", limit: 1_000 });
  const { frames } = await redrive();
  expect(frames.map(({ movedLetters, moved }) => [movedLetters.length, Number(moved)])).toEqual([
    [100, 100],
    [100, 200],
    [50, 250],
    [0, 250],
  ]);
  expect(movedIn(frames)).toEqual(letters.map(({ place }, index) => `${nameOf(place)} → t/1/${250 + index}`));
  const from = { position: { case: "offset" as const, value: 250n } };
  const { records } = await admin().browseRecords({ topic: "t", partition: 1, from, limit: 1_000 });
  expect(records.map(({ record }) => record?.value)).toEqual(letters.map(({ record }) => record?.value));
});

it("says which were discarded, and of a dry run nothing but counts", async () => {
  await giveUp(3);
  const dry = await redrive({ dryRun: true });
  expect(dry.frames.map(({ moved, movedLetters }) => [Number(moved), movedLetters.length])).toEqual([[3, 0]]);
  const { letters } = await admin().listDeadLetters({ topic: "t", group: "g" });
  const { frames } = await redrive({ action: RedriveAction.DISCARD });
  expect(movedIn(frames)).toEqual(letters.map(({ place }) => nameOf(place)));
});

it("names what the loop guard passes over, at most 100 in a frame", async () => {
  await giveUp(120);
  await redrive();
  const session = await test.session();
  await session.subscribe("t", "g", 2);
  session.grant(500);
  await expect.poll(async () => (await session.texts()).length).toBe(120);
  const offsets = Array.from({ length: 120 }, (_, index) => BigInt(120 + index));
  await admin().settlePending({ group: "g", topic: "t", partition: 1, offsets, action: PendingAction.DEAD_LETTER });
  const dry = await redrive({ redrivesMax: 1, dryRun: true });
  expect(dry.frames.map(({ skipped, skippedLetters }) => [Number(skipped), skippedLetters.length])).toEqual([[120, 0]]);
  const { letters } = await admin().listDeadLetters({ topic: "t", group: "g", limit: 1_000 });
  const { frames } = await redrive({ redrivesMax: 1 });
  expect(frames.map(({ skippedLetters, skipped }) => [skippedLetters.length, Number(skipped)])).toEqual([
    [100, 100],
    [20, 120],
  ]);
  expect(frames.flatMap(({ skippedLetters }) => skippedLetters.map(({ place }) => nameOf(place)))).toEqual(
    letters.map(({ place }) => nameOf(place)),
  );
  expect(frames[0]?.skippedLetters[0]?.redrives).toBe(1);
});

it("tells those that were refused from those that were stored at the second attempt", async () => {
  await giveUp(3);
  let attempts = 0;
  append = async (appends) => {
    attempts++;
    const [to] = appends;
    const second = to?.batches[1];
    if (attempts > 1 || to === undefined || second === undefined) return engine.log.append(appends);
    const [answers] = await engine.log.append([{ ...to, batches: [second] }]);
    const refused = { ok: false, error: new GmqError("invalid_argument", "too odd") } as const;
    const later = { ok: false, error: new GmqError("store_unavailable", "not now") } as const;
    return [[refused, ...(answers ?? []), later]];
  };
  const { letters } = await admin().listDeadLetters({ topic: "t", group: "g" });
  const [first, second, third] = letters.map(({ place }) => nameOf(place));
  const { frames, failures } = await redrive();
  expect(attempts).toBe(2);
  expect(failures).toEqual([`${first} invalid_argument`]);
  expect(movedIn(frames)).toEqual([`${second} → t/1/3`, `${third} → t/1/4`]);
  const left = await admin().listDeadLetters({ topic: "t", group: "g" });
  expect(left.letters.map(({ place }) => nameOf(place))).toEqual([first]);
});

it("names those that were settled beside one that the store refused, and goes on", async () => {
  await giveUp(150);
  const { letters } = await admin().listDeadLetters({ topic: "t", group: "g", limit: 1_000 });
  const odd = letters[41]?.place;
  const error = new GmqError("not_delivered", "not here");
  settle = async (settles) => {
    const open = settles.map((one) => ({
      ...one,
      entries: one.entries.map((entry) => ({
        ...entry,
        ranges: entry.ranges.filter(({ firstOffset }) => firstOffset !== odd?.offset),
      })),
    }));
    const outcomes = await engine.groups.settle(open);
    const refusal = { firstOffset: odd?.offset ?? -1n, lastOffset: odd?.offset ?? -1n, error };
    const isMeant = ({ entries }: PartitionSettle): boolean =>
      entries.some(({ ranges }) => ranges.some(({ firstOffset }) => firstOffset === odd?.offset));
    return outcomes.map((outcome, at) =>
      outcome.ok && isMeant(settles[at] as PartitionSettle) ? { ok: true, refusals: [refusal] } : outcome,
    );
  };
  const { frames, failures } = await redrive();
  expect(failures).toEqual([`${nameOf(odd)} not_delivered`]);
  expect(movedIn(frames).map((text) => text.split(" ")[0])).toEqual(
    letters.map(({ place }) => nameOf(place)).filter((name) => name !== nameOf(odd)),
  );
  const left = await admin().listDeadLetters({ topic: "t", group: "g" });
  expect(left.letters.map(({ place }) => nameOf(place))).toEqual([nameOf(odd)]);
});

it("names every letter that it may have moved when it loses the dead-letter topic", async () => {
  await giveUp(250);
  const { letters } = await admin().listDeadLetters({ topic: "t", group: "g", limit: 1_000 });
  let settles = 0;
  settle = async (asked) => {
    const outcomes = await engine.groups.settle(asked);
    return ++settles < 2 ? outcomes : outcomes.map(() => ({ ok: false, error: new GmqError("fenced", "too late") }));
  };
  const named: string[] = [];
  const last: RedriveProgress[] = [];
  await expect(async () => {
    for await (const { event } of admin().redrive({ topic: "t", group: "g" })) {
      if (event.case === "failure") named.push(`${nameOf(event.value.place)} ${event.value.error?.code}`);
      if (event.case !== "progress") continue;
      last.splice(0, 1, event.value);
      named.push(...event.value.movedLetters.map(({ place }) => nameOf(place)));
    }
  }).rejects.toMatchObject({ code: expect.anything() });
  expect(last[0]).toMatchObject({ moved: 100n, failed: 100n, done: false });
  expect(named).toEqual(
    letters.slice(0, 200).map(({ place }, index) => `${nameOf(place)}${index < 100 ? "" : " fenced"}`),
  );
  const left = await admin().listDeadLetters({ topic: "t", group: "g", limit: 1_000 });
  expect(left.letters.map(({ place }) => nameOf(place))).toEqual(letters.slice(200).map(({ place }) => nameOf(place)));
});
