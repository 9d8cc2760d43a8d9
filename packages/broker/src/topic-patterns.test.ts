import { silentLogger } from "@gmq/log";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { expect, test } from "vitest";
import { createTopicPatterns } from "./topic-patterns.js";

test("a topic that was made after a pattern was resolved, and before it was watched, is told of", async () => {
  const engine = await createEmbeddedEngine({ memory: true });
  const patterns = createTopicPatterns(engine.topics, silentLogger);
  const stop = engine.signals.subscribe(patterns.signal);
  await engine.topics.create("orders.one", { partitions: 1 });
  expect(await patterns.resolve(["orders.*"])).toEqual(["orders.one"]);
  await engine.topics.create("orders.two", { partitions: 1 });
  let matching: string[] = [];
  const unwatch = patterns.watch(["orders.*"], (topics) => {
    matching = topics;
  });
  await expect.poll(() => matching, { timeout: 15_000 }).toEqual(["orders.one", "orders.two"]);
  unwatch();
  stop();
  patterns.close();
  await engine.close();
});
