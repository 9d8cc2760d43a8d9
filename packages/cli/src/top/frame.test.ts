import { expect, it } from "vitest";
import { drawFrame } from "./frame.js";
import { ratesBetween } from "./rates.js";
import type { GroupSample, Sample, TopicSample } from "./sample.js";

const status: Sample["status"] = {
  brokerId: "b1",
  version: "1",
  sessions: 7,
  uptimeMs: 61_000,
  engine: "redis",
  ready: true,
  reason: "",
  durability: "disk",
  details: {},
};

function sample(atMs: number, topics: readonly TopicSample[], groups: readonly GroupSample[]): Sample {
  return { atMs, status, topics, groups, cut: false };
}

const topicAt = (topic: string, stored: bigint): TopicSample => ({
  topic,
  partitions: 4,
  records: 5n,
  bytes: 50n,
  stored,
});
const groupAt = (group: string, settled: bigint, lag: bigint): GroupSample => ({
  group,
  members: 2,
  lag,
  lagMs: 1_500,
  unsettled: 1n,
  settled,
});

it("tells rates of what both samples have, and nothing of what is new or went back", () => {
  const before = sample(1_000, [topicAt("a", 100n), topicAt("reset", 50n)], [groupAt("g", 10n, 0n)]);
  const after = sample(3_000, [topicAt("a", 300n), topicAt("new", 9n), topicAt("reset", 0n)], [groupAt("g", 30n, 5n)]);
  const rates = ratesBetween(before, after);
  expect(rates.topics.map(({ topic, storedPerSecond }) => [topic, storedPerSecond])).toEqual([
    ["a", 100],
    ["new", undefined],
    ["reset", 0],
  ]);
  expect([rates.publishedPerSecond, rates.settledPerSecond]).toEqual([100, 10]);
});

it("puts the group that is furthest behind first", () => {
  const groups = [groupAt("a", 0n, 1n), groupAt("b", 0n, 10n ** 18n), groupAt("c", 0n, 1n)];
  const rates = ratesBetween(sample(0, [], []), sample(1, [], groups));
  expect(rates.groups.map(({ group }) => group)).toEqual(["b", "a", "c"]);
});

it("fits the terminal, whatever there is", () => {
  const topics = Array.from({ length: 40 }, (_, n) => topicAt(`topic-${n}`, BigInt(n)));
  const groups = Array.from({ length: 40 }, (_, n) => groupAt(`group-${n}`, 0n, BigInt(n)));
  const after = sample(1_000, topics, groups);
  const rates = ratesBetween(sample(0, topics, groups), after);
  for (const rows of [10, 24, 60]) {
    const lines = drawFrame(after, rates, new Date(0), { rows, columns: 50 }).split("\n");
    expect(lines.length, `${rows} rows`).toBeLessThanOrEqual(rows);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50);
  }
  const all = drawFrame(after, rates, new Date(0), { rows: Number.POSITIVE_INFINITY, columns: 500 });
  expect(all).toContain("topic-39");
  expect(all).toContain("group-0 ");
  expect(all).toMatch(
    /^1970-01-01T00:00:00.000Z {2}broker b1 up 61 s {2}sessions 7 {2}store redis, ready, durability disk\n/,
  );
});
