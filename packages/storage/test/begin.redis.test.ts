import { expect, it } from "vitest";
import { batchOf } from "../src/conformance/batches.js";
import { memberOf } from "../src/conformance/consumer.js";
import type { StartPosition } from "../src/engine.js";
import { useRedisEngines } from "./redis-engines.js";

const redis = useRedisEngines();

it.each<[string, StartPosition]>([
  ["earliest", "earliest"],
  ["a time that nothing is from yet", { timestampMs: 1 }],
])("a group that begins at %s passes over nothing that is stored meanwhile", async (_name, start) => {
  const engine = await redis.open();
  await engine.topics.create("t", { partitions: 200 });
  const partitions = Array.from({ length: 200 }, (_, partition) => partition);
  const joined = engine.groups.join(memberOf("g", ["t"]), start);
  // One after another, so that some come between any two questions that a beginning asks.
  for (const partition of partitions)
    await engine.log.append([{ topic: "t", partition, batches: [batchOf(["first"])] }]);
  await joined;
  const offsets = await engine.groups.offsets("g");
  expect(offsets.map(({ partition, lagRecords }) => [partition, lagRecords])).toEqual(
    partitions.map((partition) => [partition, 1]),
  );
});
