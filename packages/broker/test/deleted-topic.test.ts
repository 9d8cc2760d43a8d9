/** A reader that finds its topic deleted before anybody told the broker: no signal comes, only the safety look. */
import { SubscriptionMode } from "@gmq/protocol/messages";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { expect, it, onTestFinished } from "vitest";
import { startTestBroker } from "./harness/test-broker.js";

it.each([
  ["exclusive", SubscriptionMode.EXCLUSIVE],
  ["shared", SubscriptionMode.SHARED],
  ["broadcast", SubscriptionMode.BROADCAST],
] as const)("loses what is left of it and stays: %s", async (_mode, mode) => {
  const engine = await createEmbeddedEngine({ memory: true });
  const deaf = { ...engine, signals: { ...engine.signals, subscribe: () => () => undefined } };
  const test = await startTestBroker({ engine: deaf, safetyIntervalMs: 100 });
  onTestFinished(async () => {
    await test.stop();
    await engine.close();
  });
  await engine.topics.create("t", { partitions: 1 });
  const session = await test.session();
  const [assignmentId] = await session.subscribe("t", "g", 1, 1, mode);
  session.grant(10);
  await engine.topics.delete("t");
  await expect
    .poll(() => session.all("revoked"), { timeout: 15_000 })
    .toMatchObject([{ subscriptionId: 1, assignmentIds: [assignmentId], deadlineMs: 0 }]);
  // It is still the session's, so its end is answered.
  await session.askFor({ case: "unsubscribe", value: { subscriptionId: 1 } }, "unsubscribed");
  expect(session.all("subscriptionEnded")).toEqual([]);
});
