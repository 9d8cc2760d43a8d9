/** A topic that is changed by a call to a broker is, for whoever hears the answer, what it is now: no signal is waited for. */
import { AdminService } from "@gmq/protocol/messages";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createNodeTransport, createServiceClient } from "@gmq/transport";
import { expect, it, onTestFinished } from "vitest";
import { startTestBroker } from "./harness/test-broker.js";

it("has its new partitions at once, and is made anew by use once it is deleted", async () => {
  const engine = await createEmbeddedEngine({ memory: true });
  const deaf = { ...engine, signals: { ...engine.signals, subscribe: () => () => undefined } };
  const test = await startTestBroker({ engine: deaf });
  const node = createNodeTransport({ url: test.url });
  onTestFinished(async () => {
    node.close();
    await test.stop();
    await engine.close();
  });
  const admin = createServiceClient(AdminService, node.transport);
  const session = await test.session();
  const partitions = async (): Promise<number> =>
    (await session.askFor({ case: "resolveTopic", value: { topic: "t" } }, "resolvedTopic")).partitions;
  await admin.createTopic({ topic: "t", config: { partitions: 1 } });
  expect(await partitions()).toBe(1);
  await admin.addPartitions({ topic: "t", partitions: 3 });
  expect(await partitions()).toBe(3);
  await admin.deleteTopic({ topic: "t" });
  expect(await partitions()).toBe(2);
});
