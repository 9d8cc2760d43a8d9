/** What `explain` tells of a group in a partition, beside what the ownership shows: fences, waiting keys, credit, delays, losses, and a store that takes nothing new. */
import { batchChecksum, encodeRecords } from "@gmq/protocol";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { afterEach, expect, it, vi } from "vitest";
import { batchOf, publishFrame } from "./harness/raw-session.js";
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

const textOf = async (test: TestBroker, code: string): Promise<string> =>
  (await explain(test)).find((condition) => condition.code === code)?.text ?? "";

it("a consumer that gives no credit, and since when", async () => {
  const test = await start();
  await test.engine.topics.create("t", { partitions: 1 });
  const consumer = await test.session();
  await consumer.subscribe("t", "g", 1);
  const beforeMs = Date.now();
  await consumer.publish("t", 0, ["a", "b", "c"]);
  consumer.grant(1);
  await expect.poll(() => consumer.texts()).toEqual(["a"]);
  const [, since = ""] = /allows since (\S+) \(/.exec(await textOf(test, "no_credit")) ?? [];
  expect(Date.parse(since)).toBeGreaterThanOrEqual(beforeMs);
  expect(Date.parse(since)).toBeLessThanOrEqual(Date.now());
  // It stands for as long as the credit is away, whatever else happens.
  await consumer.publish("t", 0, ["d"]);
  expect(await textOf(test, "no_credit")).toContain(since);
  consumer.grant(10);
  await expect.poll(() => consumer.texts()).toEqual(["a", "b", "c", "d"]);
  expect(await textOf(test, "no_credit")).toBe("");
});

it("a member that was fenced, until the fence is old", async () => {
  const test = await start();
  await test.engine.topics.create("t", { partitions: 1 });
  const member = {
    group: "g",
    memberId: "m1",
    incarnation: "1",
    clientId: "c",
    clientVersion: "1",
    brokerId: "elsewhere",
    topics: ["t"],
    sessionTimeoutMs: 1_000,
    staticMember: false,
  };
  await test.engine.groups.join(member, "earliest");
  expect(await textOf(test, "fenced")).toBe("");
  await expect.poll(() => textOf(test, "fenced"), { timeout: 15_000 }).toMatch(/^m1 was fenced .* its session ran out/);
  expect((await explain(test)).map(({ code }) => code)).toEqual(["no_member", "fenced", "caught_up"]);
  const now = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 61_000);
  try {
    expect(await textOf(test, "fenced")).toBe("");
  } finally {
    now.mockRestore();
  }
});

it("records that wait for their deliverAt", async () => {
  const test = await start();
  await test.engine.topics.create("t", { partitions: 1 });
  await leaveGroup(test);
  const deliverAtMs = BigInt(Date.now() + 600_000);
  for (const dedupeId of ["1", "2"]) {
    const batch = { ...batchOf(["later"], { dedupeId }), deliverAtMs };
    expect(await test.engine.log.append([{ topic: "t", partition: 0, batches: [batch] }])).toMatchObject([
      [{ ok: true, scheduled: true }],
    ]);
  }
  const conditions = await explain(test);
  expect(conditions.map(({ code }) => code)).toEqual(["no_member", "caught_up", "scheduled"]);
  expect(conditions[2]?.text).toMatch(
    /^2 records wait for their deliverAt, the next one is due in (600|59\d|5[0-8]\d) s/,
  );
});

it.each([
  ["text", new TextEncoder().encode("order-7"), '("order-7")'],
  ["bytes", Uint8Array.of(0xff, 0x00, 0x80), "(base64 /wCA)"],
  ["a long text", new TextEncoder().encode("ä".repeat(100)), `("${"ä".repeat(32)}" … of 200 bytes)`],
  [
    "a text that is cut within a character",
    new TextEncoder().encode(`x${"ä".repeat(100)}`),
    `("x${"ä".repeat(31)}" … of 201 bytes)`,
  ],
])("a record that waits with its key: %s", async (_kind, key, shown) => {
  const test = await start();
  await test.engine.topics.create("t", { partitions: 1 });
  const consumer = await test.session();
  const [assignmentId = 0] = await consumer.subscribe("t", "g", 1);
  const records = encodeRecords([{ key, value: new Uint8Array(3), timestampMs: 1 }]);
  const batch = batchOf(["abc"], { records, crc32: batchChecksum(records), uncompressedBytes: records.length });
  await consumer.askFor(publishFrame("t", 0, batch), "published");
  consumer.grant(10);
  await expect.poll(async () => (await consumer.texts()).length).toBe(1);
  expect(await consumer.settle(assignmentId, 0, 0, { verb: "retry", inPlace: true })).toEqual([]);
  expect(await textOf(test, "retry_waiting")).toBe(`offset 0 and its key ${shown} wait after 1 failed attempts`);
  expect(await consumer.settle(assignmentId, 0, 0, { verb: "retry", delayMs: 600_000 })).toEqual([]);
  expect(await textOf(test, "delayed")).toMatch(/^offset 0 \(key .*waits \d+ ms/);
});
