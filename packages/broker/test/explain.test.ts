/** What `explain` tells that stays when consumers come and go: what was lost, and a store that takes nothing new. */
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterEach, expect, it } from "vitest";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

async function start(options: { readonly storeBytesMax?: number } = {}): Promise<TestBroker> {
  const engine = await createEmbeddedEngine({ memory: true, ...options });
  open.push({ stop: () => engine.close() });
  const test = await startTestBroker({ engine });
  open.push(test);
  return test;
}

async function explain(test: TestBroker): Promise<{ code: string; text: string }[]> {
  const response = await fetch(`${test.url}/gmq.v1.AdminService/ExplainGroup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ group: "g", topic: "t", partition: 0 }),
  });
  return ((await response.json()) as { conditions: { code: string; text: string }[] }).conditions;
}

/** A group that has consumed the topic and has no member now. */
async function leaveGroup(test: TestBroker): Promise<void> {
  const consumer = await test.session();
  await consumer.subscribe("t", "g", 1);
  consumer.close();
  await expect.poll(async () => (await test.engine.groups.get("g"))?.members.length).toBe(0);
}

it("records that a purge took from the group, also when it has caught up", async () => {
  const test = await start();
  await test.engine.topics.create("t", { partitions: 1 });
  await leaveGroup(test);
  const publisher = await test.session();
  for (const value of ["a", "b", "c"]) await publisher.publish("t", 0, [value]);
  await test.engine.log.purge({ topic: "t", partition: 0, toOffset: 2n });
  const conditions = await explain(test);
  expect(conditions.map(({ code }) => code)).toEqual(["no_member", "behind_retention"]);
  expect(conditions[1]?.text).toContain("2 records were removed");
});

it("a store that is full", async () => {
  const test = await start({ storeBytesMax: 100_000 });
  await test.engine.topics.create("t", { partitions: 1 });
  await leaveGroup(test);
  const publisher = await test.session();
  await expect
    .poll(
      async () => {
        await publisher.publish("t", 0, ["x".repeat(20_000)]).catch(() => undefined);
        return (await test.engine.status()).reason;
      },
      { timeout: 15_000 },
    )
    .toBe("read-only: store full");
  const codes = (await explain(test)).map(({ code }) => code);
  expect(codes).toContain("store_read_only");
  expect(codes[0]).toBe("no_member");
});
