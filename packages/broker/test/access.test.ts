/** What each role may do, through every door of a broker, over real sockets. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@gmq/log";
import { batchChecksum, encodeRecords } from "@gmq/protocol";
import { AdminService, BrokerService, PendingAction } from "@gmq/protocol/messages";
import { hashToken } from "@gmq/protocol/secrets";
import { type Access, openAccess } from "@gmq/service";
import { createNodeTransport, createServiceClient } from "@gmq/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { batchOf, publishFrame, type RequestFrame } from "./harness/raw-session.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

const roles = {
  nobody: [],
  publisher: [{ topics: ["mine*"], allow: ["publish"] }],
  consumer: [{ topics: ["mine*"], groups: ["mine*"], allow: ["consume"] }],
  admin: [{ topics: ["mine*"], groups: ["mine*"], allow: ["admin"] }],
  all: [{ topics: ["*"], groups: ["*"], allow: ["publish", "consume", "admin"] }],
};
type Role = keyof typeof roles;

let folder: string;
let access: Access;
let test: TestBroker;

function write(given: object = roles): Promise<void> {
  const tokens = Object.keys(roles).map((name) => ({ name, hash: hashToken(`token-of-${name}`), roles: [name] }));
  return writeFile(join(folder, "access.json"), JSON.stringify({ roles: given, tokens }));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gmq-access-"));
  await write();
  access = openAccess("--access-file", join(folder, "access.json"), 100, silentLogger);
  test = await startTestBroker({ authenticate: access.authenticate, heartbeatIntervalMs: 1_000 });
});
afterEach(async () => {
  await test.stop();
  access.close();
  await rm(folder, { recursive: true, force: true });
});

function clientsOf(role: Role) {
  const node = createNodeTransport({ url: test.url, token: `token-of-${role}` });
  const admin = createServiceClient(AdminService, node.transport);
  return { admin, broker: createServiceClient(BrokerService, node.transport), close: node.close };
}

/** "ok", or the code that it was refused with; "ok" also for what was let through and failed later for another reason. */
async function outcome(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "ok";
  } catch (error) {
    const { code } = error as { readonly code: string };
    return code === "permission_denied" || code === "unauthenticated" ? code : "ok";
  }
}

async function first(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _frame of stream) return;
}

type Clients = ReturnType<typeof clientsOf>;
type Call = (clients: Clients, topic: string, group: string) => Promise<unknown>;

/** Every call that names a topic or group, and the roles for whom it is let through on what is theirs. */
const calls: readonly (readonly [name: string, allowed: readonly Role[], call: Call])[] = [
  ["Publish", ["publisher"], ({ broker }, topic) => broker.publish({ topic })],
  ["Consume", ["consumer"], ({ broker }, topic, group) => first(broker.consume({ topics: [topic], group }))],
  ["CreateTopic", ["admin"], ({ admin }, topic) => admin.createTopic({ topic })],
  ["DescribeTopic", ["publisher", "consumer", "admin"], ({ admin }, topic) => admin.describeTopic({ topic })],
  ["AlterTopic", ["admin"], ({ admin }, topic) => admin.alterTopic({ topic, config: {} })],
  ["AddPartitions", ["admin"], ({ admin }, topic) => admin.addPartitions({ topic, partitions: 9 })],
  ["PurgeTopic", ["admin"], ({ admin }, topic) => admin.purgeTopic({ topic })],
  ["BrowseRecords", ["consumer", "admin"], ({ admin }, topic) => admin.browseRecords({ topic })],
  ["DescribeGroup", ["consumer", "admin"], ({ admin }, _topic, group) => admin.describeGroup({ group })],
  ["ListPending", ["consumer", "admin"], ({ admin }, topic, group) => admin.listPending({ topic, group })],
  ["ExplainGroup", ["consumer", "admin"], ({ admin }, topic, group) => admin.explainGroup({ topic, group })],
  ["ResetGroup", ["admin"], ({ admin }, topic, group) => admin.resetGroup({ topic, group, dryRun: true })],
  ["PauseGroup", ["admin"], ({ admin }, topic, group) => admin.pauseGroup({ topic, group })],
  ["ResumeGroup", ["admin"], ({ admin }, topic, group) => admin.resumeGroup({ topic, group })],
  ["ListDeadLetters", ["consumer", "admin"], ({ admin }, topic, group) => admin.listDeadLetters({ topic, group })],
  [
    "SettlePending",
    ["admin"],
    ({ admin }, topic, group) =>
      admin.settlePending({ topic, group, offsets: [0n], action: PendingAction.ACK, dryRun: true }),
  ],
  ["Redrive", ["admin"], ({ admin }, topic, group) => first(admin.redrive({ topic, group, dryRun: true }))],
  ["DeleteGroup", ["admin"], ({ admin }, _topic, group) => admin.deleteGroup({ group })],
  ["DeleteTopic", ["admin"], ({ admin }, topic) => admin.deleteTopic({ topic })],
];
const openToAll = ["ListTopics", "ListGroups", "GetStatus"];

describe("calls", () => {
  it("are all in the table", () => {
    const named = new Set([...calls.map(([name]) => name), ...openToAll, "Session", "Settle"]);
    const methods = [...AdminService.methods, ...BrokerService.methods].map(({ name }) => name);
    expect(methods.filter((name) => !named.has(name))).toEqual([]);
  });

  it.each(calls)("%s is for those who may, on what is theirs", async (_name, allowed, call) => {
    for (const role of Object.keys(roles) as Role[]) {
      const clients = clientsOf(role);
      const may = role === "all" || allowed.includes(role);
      const own = await outcome(() => call(clients, "mine.a", "mine.g"));
      const foreign = await outcome(() => call(clients, "theirs.a", "theirs.g"));
      const refused = "permission_denied";
      expect([role, own, foreign]).toEqual([role, may ? "ok" : refused, role === "all" ? "ok" : refused]);
      clients.close();
    }
  });

  it("tell the same of what is there and what is not", async () => {
    await test.engine.topics.create("theirs.there", { partitions: 1 });
    const clients = clientsOf("publisher");
    const say = (topic: string): Promise<string> =>
      clients.broker.publish({ topic }).then(
        () => "",
        (error: Error) => error.message.replace(topic, ""),
      );
    expect(await say("theirs.there")).toBe(await say("theirs.none"));
    clients.close();
  });

  it("tell the key of a waiting record to who may read the topic", async () => {
    await test.engine.topics.create("mine.a", { partitions: 1 });
    const session = await test.session({ token: "token-of-all" });
    const [assignmentId = 0] = await session.subscribe("mine.a", "mine.g", 1);
    const records = encodeRecords([
      { key: new TextEncoder().encode("secret"), value: new Uint8Array(3), timestampMs: 1 },
    ]);
    const batch = batchOf(["abc"], { records, crc32: batchChecksum(records), uncompressedBytes: records.length });
    await session.askFor(publishFrame("mine.a", 0, batch), "published");
    session.grant(1);
    await expect.poll(async () => (await session.texts()).length).toBe(1);
    await session.settle(assignmentId, 0, 0, { verb: "retry", inPlace: true });
    await write({
      ...roles,
      nobody: [
        { topics: ["mine*"], allow: ["publish"] },
        { groups: ["mine*"], allow: ["consume"] },
      ],
    });
    const said = async (role: Role): Promise<string | undefined> => {
      const clients = clientsOf(role);
      try {
        const { conditions } = await clients.admin.explainGroup({ topic: "mine.a", group: "mine.g", partition: 0 });
        return conditions.find(({ code }) => code === "retry_waiting")?.text;
      } finally {
        clients.close();
      }
    };
    await expect
      .poll(() => said("nobody").catch(() => ""), { timeout: 15_000 })
      .toBe("offset 0 and its key wait after 1 failed attempts");
    for (const role of ["consumer", "admin"] as const) expect(await said(role)).toContain('its key ("secret") wait');
  });

  it("list what the caller may see", async () => {
    for (const name of ["mine.a", "mine.b", "theirs.a"]) await test.engine.topics.create(name, { partitions: 1 });
    const seen = async (role: Role): Promise<string[]> => {
      const clients = clientsOf(role);
      const { topics } = await clients.admin.listTopics({});
      clients.close();
      return topics.map(({ name }) => name).sort();
    };
    expect(await seen("nobody")).toEqual([]);
    expect(await seen("publisher")).toEqual(["mine.a", "mine.b"]);
    expect(await seen("all")).toEqual(["mine.a", "mine.b", "theirs.a"]);
  });
});

describe("a session", () => {
  const batchOf = (topic: string): RequestFrame => ({ case: "publish", value: { topic, batches: [] } });

  it("publishes, subscribes and resolves what its caller may, and goes on after a refusal", async () => {
    const publisher = await test.session({ token: "token-of-publisher" });
    await publisher.publish("mine.a", 0, ["r0"]);
    const refused = { code: "permission_denied", field: "topic", limit: "publish" };
    expect(await publisher.askFor(batchOf("theirs.a"), "error")).toMatchObject(refused);
    expect(await publisher.askFor({ case: "resolveTopic", value: { topic: "theirs.a" } }, "error")).toMatchObject({
      code: "permission_denied",
    });
    const subscribe = (topics: string[], group: string, topicPatterns: string[] = []) =>
      ({ case: "subscribe", value: { subscriptionId: 1, group, topics, topicPatterns } }) as const;
    expect(await publisher.askFor(subscribe(["mine.a"], "mine.g"), "error")).toMatchObject({
      code: "permission_denied",
    });
    await publisher.publish("mine.a", 0, ["r1"]);
    const consumer = await test.session({ token: "token-of-consumer" });
    expect(await consumer.askFor(batchOf("mine.a"), "error")).toMatchObject(refused);
    expect(await consumer.askFor(subscribe(["mine.a"], "theirs.g"), "error")).toMatchObject({ field: "group" });
    expect(await consumer.askFor(subscribe(["mine.a", "theirs.a"], "mine.g"), "error")).toMatchObject({
      field: "topic",
    });
    expect(await test.engine.topics.get("theirs.a")).toBeUndefined();
    await consumer.askFor(subscribe(["mine.a"], "mine.g"), "subscribed");
    consumer.grant(10);
    await expect.poll(() => consumer.texts()).toEqual(["r0", "r1"]);
  });

  it("gets of a pattern what it may consume", async () => {
    await test.engine.topics.create("mine.a", { partitions: 1 });
    await test.engine.topics.create("theirs.a", { partitions: 1 });
    const consumer = await test.session({ token: "token-of-consumer" });
    const pattern = { subscriptionId: 1, group: "mine.g", topics: [], topicPatterns: ["*a*"] };
    await consumer.askFor({ case: "subscribe", value: pattern }, "subscribed");
    const assigned = (): string[] =>
      consumer
        .all("assigned")
        .flatMap((frame) => frame.assignments.map(({ topic }) => topic))
        .sort();
    await expect.poll(assigned).toEqual(["mine.a"]);
    await test.engine.topics.create("theirs.abc", { partitions: 1 });
    await test.engine.topics.create("mine.abc", { partitions: 1 });
    await expect.poll(assigned).toEqual(["mine.a", "mine.abc"]);
    const other = { ...pattern, subscriptionId: 2, topicPatterns: ["theirs*"] };
    expect(await consumer.askFor({ case: "subscribe", value: other }, "error")).toMatchObject({
      code: "topic_not_found",
    });
  });

  it("loses a subscription when the right to it is taken back, and ends when its token is", async () => {
    const consumer = await test.session({ token: "token-of-consumer" });
    consumer.beatEvery(200);
    await consumer.askFor(
      { case: "subscribe", value: { subscriptionId: 1, group: "mine.g", topics: ["mine.a"] } },
      "subscribed",
    );
    await write({ ...roles, consumer: [{ topics: ["mine.b"], groups: ["mine.g"], allow: ["consume"] }] });
    await expect
      .poll(() => consumer.all("subscriptionEnded"))
      .toMatchObject([{ subscriptionId: 1, error: { code: "permission_denied" } }]);
    expect(consumer.end).toBeUndefined();
    await expect.poll(async () => (await test.engine.groups.get("mine.g"))?.members ?? []).toEqual([]);
    await writeFile(join(folder, "access.json"), JSON.stringify({ roles, tokens: [] }));
    expect(await consumer.ended).toMatchObject({ code: "unauthenticated" });
  });
});

describe("a thin client", () => {
  it("settles only what its own caller was given, and is ended when its right is taken back", async () => {
    const { broker, close } = clientsOf("consumer");
    const { broker: stranger, close: closeStranger } = clientsOf("all");
    await (await test.session({ token: "token-of-all" })).publish("mine.a", 0, ["r0"]);
    let sessionId = "";
    let assignmentId = 0;
    const ended = (async () => {
      for await (const { event } of broker.consume({ group: "mine.g", topics: ["mine.a"] })) {
        if (event.case === "started") sessionId = event.value.sessionId;
        if (event.case === "record") assignmentId = event.value.assignmentId;
      }
    })();
    ended.catch(() => undefined);
    await expect.poll(() => assignmentId).toBeGreaterThan(0);
    const settle = { sessionId, assignmentId, ranges: [{ firstOffset: 0n, lastOffset: 0n, verb: 1 }] };
    await expect(stranger.settle(settle)).rejects.toMatchObject({ code: "subscription_not_found" });
    expect((await broker.settle(settle)).refusals).toEqual([]);
    await write({ ...roles, consumer: [] });
    await expect(ended).rejects.toMatchObject({ code: "permission_denied" });
    close();
    closeStranger();
  });
});
