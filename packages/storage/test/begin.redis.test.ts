import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Engine, StartPosition } from "../src/engine.js";
import { createRedisEngine } from "../src/redis/redis-engine.js";
import { batchOf } from "./batches.js";
import { type OwnRedis, startOwnRedis } from "./redis-server.js";

let server: OwnRedis;
let engine: Engine;

beforeAll(async () => {
  server = await startOwnRedis([]);
  engine = await createRedisEngine({ url: server.url, prefix: `t-${randomUUID().slice(0, 8)}` });
});

afterAll(async () => {
  await engine.close();
  await server.stop();
});

it.each<[string, StartPosition]>([
  ["earliest", "earliest"],
  ["a time that nothing is from yet", { timestampMs: 1 }],
])("a group that begins at %s passes over nothing that is stored meanwhile", async (name, start) => {
  const topic = `t${name.length}`;
  await engine.topics.create(topic, { partitions: 200 });
  const partitions = Array.from({ length: 200 }, (_, partition) => partition);
  const member = { group: topic, memberId: "m", incarnation: "m-1", clientId: "c", clientVersion: "1", brokerId: "b" };
  const joined = engine.groups.join(
    { ...member, topics: [topic], sessionTimeoutMs: 30_000, staticMember: false },
    start,
  );
  // One after another, so that some come between any two questions that a beginning asks.
  for (const partition of partitions) await engine.log.append([{ topic, partition, batches: [batchOf(["first"])] }]);
  await joined;
  const offsets = await engine.groups.offsets(topic);
  expect(offsets.map(({ partition, lagRecords }) => [partition, lagRecords])).toEqual(
    partitions.map((partition) => [partition, 1]),
  );
});
