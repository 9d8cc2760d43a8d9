/** Where a broadcast that comes back goes on: at its offset in the life of the topic that it read, at the beginning of any other. */
import { SubscriptionMode } from "@gmq/protocol/messages";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { expect, it, onTestFinished } from "vitest";
import { startTestBroker } from "./harness/test-broker.js";

it.each([
  ["at its offset, inside an entry", 2n, "its own", [2n, 5n], ["c", "d", "e"]],
  ["at the end", 5n, "its own", [5n, 5n], []],
  ["at the beginning of another life", 2n, "another", [0n, 5n], ["a", "b", "c", "d", "e"]],
  ["at its offset when its client knows of no lives", 2n, "none", [2n, 5n], ["c", "d", "e"]],
] as const)("begins %s", async (_where, offset, whose, [position, endOffset], texts) => {
  const engine = await createEmbeddedEngine({ memory: true });
  const test = await startTestBroker({ engine });
  onTestFinished(async () => {
    await test.stop();
    await engine.close();
  });
  const { createdAtMs } = await engine.topics.create("t", { partitions: 1 });
  const current = BigInt(createdAtMs);
  const session = await test.session();
  await session.publish("t", 0, ["a", "b", "c", "d", "e"]);
  const life = { "its own": current, another: current - 1n, none: 0n }[whose];
  const positions = [{ topic: "t", partition: 0, offset, life }];
  const mode = SubscriptionMode.BROADCAST;
  const value = { subscriptionId: 1, group: "g", topics: ["t"], mode, positions };
  await session.askFor({ case: "subscribe", value }, "subscribed");
  expect(session.all("assigned").flatMap(({ assignments }) => assignments)).toMatchObject([
    { topic: "t", partition: 0, position, endOffset, life: current },
  ]);
  session.grant(10);
  await session.publish("t", 0, ["f"]);
  await expect.poll(() => session.texts(), { timeout: 15_000 }).toEqual([...texts, "f"]);
});
