import { create } from "@bufbuild/protobuf";
import { PortalPointSchema, PortalTopicSchema } from "@gmq/protocol/messages";
import { expect, it } from "vitest";
import { unchangedOr } from "./cluster-rows.js";
import { type ClusterState, unseen } from "./cluster-state.js";
import { createRates } from "./rates.js";
import { difference } from "./watch.js";

const topic = (name: string, records: bigint, sampledAtMs = 1n) =>
  create(PortalTopicSchema, { name, records, sampledAtMs });
const state = (topics: ReturnType<typeof topic>[], pointsAt: bigint[]): ClusterState => ({
  ...unseen,
  topics: new Map(topics.map((row) => [row.name, row])),
  points: pointsAt.map((atMs) => create(PortalPointSchema, { atMs })),
});

it("sends only rows that changed, names that are gone, and new points", () => {
  const same = topic("same", 1n);
  const before = state([same, topic("changes", 1n), topic("goes", 1n)], [1n, 2n]);
  const now = state([same, topic("changes", 2n), topic("comes", 1n)], [2n, 3n]);
  const delta = difference(before, now);
  expect(delta.topics.map(({ name }) => name)).toEqual(["changes", "comes"]);
  expect(delta.removedTopics).toEqual(["goes"]);
  expect(delta.points.map(({ atMs }) => atMs)).toEqual([3n]);
  expect(delta.topicCount).toBe(3);
});

it("takes a row as unchanged when only the time of the look differs", () => {
  const before = topic("a", 1n, 1n);
  expect(unchangedOr(before, topic("a", 1n, 2n))).toBe(before);
  const grown = topic("a", 2n, 2n);
  expect(unchangedOr(before, grown)).toBe(grown);
});

it("gives rates over five seconds, also when looks are rarer", () => {
  const rates = createRates();
  expect(rates.note("t", 100n, 0)).toBe(0);
  expect(rates.note("t", 200n, 1_000)).toBe(100);
  expect(rates.note("t", 200n, 3_000)).toBeCloseTo(33.3, 0);
  expect(rates.note("t", 200n, 8_500)).toBe(0);
  expect(rates.note("t", 1_200n, 28_500)).toBe(50);
  rates.forget("t");
  expect(rates.note("t", 5_000n, 29_000)).toBe(0);
});
