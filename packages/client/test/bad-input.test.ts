/** What users give wrong: refused with field and limit before anything of it is sent, so that the session, and everybody else on it, lives on. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type Gmq, type ProducerRecord, type SubscribeOptions, topic } from "../src/index.js";
import { connectTo, startDeployment, stopBoth, type TestDeployment } from "./harness/test-deployment.js";

let test: TestDeployment;
let gmq: Gmq;
let connectionsLost = 0;

beforeAll(async () => {
  test = await startDeployment();
  gmq = await connectTo(test);
  await gmq.admin.createTopic("t", { partitions: 2 });
  const watch = gmq.subscribe("t", { group: "watch" }, () => undefined);
  void (async () => {
    for await (const { type } of watch.status()) if (type === "reconnecting") connectionsLost++;
  })();
});

afterAll(() => stopBoth(gmq, test));

/** Values that a program has without its author knowing. */
const wrong = (value: unknown): never => value as never;

describe("subscribe", () => {
  it.each<[string, Partial<SubscribeOptions>, string]>([
    ["orderBy", { orderBy: wrong("nothing") }, "key, partition, none"],
    ["retry.place", { retry: { place: wrong("later") } }, "in-order, delayed"],
    ["retry", { retry: wrong(null) }, "an object"],
    ["retry.backoff", { retry: { backoff: wrong(5) } }, "an object"],
    ["maxInFlight", { maxInFlight: wrong(5) }, "an object"],
    ["mode", { mode: wrong("toString") }, "exclusive, shared, broadcast"],
    ["onInvalid", { onInvalid: wrong("ignore") }, "fail, skip, deadLetter"],
    ["start", { start: wrong("middle") }, '"earliest", "latest", { offset } or { timestamp }'],
    ["start", { start: wrong(null) }, '"earliest", "latest", { offset } or { timestamp }'],
    ["start.offset", { start: { offset: -1n } }, "a bigint, 0 to 2^63 - 1"],
    ["start.offset", { start: { offset: wrong(5) } }, "a bigint, 0 to 2^63 - 1"],
    ["start.offset", { start: { offset: 2n ** 63n } }, "a bigint, 0 to 2^63 - 1"],
    ["start.timestamp", { start: { timestamp: new Date("never") } }, "0 to 2^53 - 1 ms"],
    ["start.timestamp", { start: { timestamp: wrong("2026-01-01") } }, "0 to 2^53 - 1 ms"],
  ])("%s: %o", (field, options, limit) => {
    expect(() => gmq.subscribe("t", { group: "g", ...options }, () => undefined)).toThrowError(
      expect.objectContaining({ code: "invalid_argument", field, limit }),
    );
    if (!("orderBy" in options || "retry" in options)) {
      expect(() => gmq.consumer("t", { group: "g", ...options })).toThrowError(
        expect.objectContaining({ code: "invalid_argument", field }),
      );
    }
  });

  it("without options, or a topic", async () => {
    const none = wrong(undefined);
    const ways: readonly (() => unknown)[] = [
      () => gmq.subscribe("t", none, none),
      () => gmq.subscribe("t", none, () => undefined),
      () => gmq.consumer("t", none),
      () => gmq.messages("t", none),
    ];
    for (const way of ways) {
      expect(way).toThrowError(
        expect.objectContaining({ code: "invalid_argument", field: "options", limit: "an object" }),
      );
    }
    for (const topics of [none, wrong(null), wrong(7)]) {
      expect(() => gmq.subscribe(topics, { group: "g" }, () => undefined)).toThrowError(
        expect.objectContaining({ code: "invalid_argument", field: "topic" }),
      );
    }
  });

  it("with names that are none", () => {
    for (const name of [5, null, undefined, ["a"]]) {
      expect(() => gmq.subscribe("t", { group: wrong(name) }, () => undefined)).toThrowError(
        expect.objectContaining({ code: "invalid_name", field: "group" }),
      );
    }
  });

  it("without a handler", () => {
    expect(() => gmq.subscribe("t", { group: "g" }, wrong(undefined))).toThrowError(
      expect.objectContaining({ code: "invalid_argument", field: "handler", limit: "a function" }),
    );
  });
});

it.each<[string, Partial<ProducerRecord<string>>]>([
  ["key", { key: wrong(7) }],
  ["headers.retries", { headers: { retries: wrong(3) } }],
  ["headers.none", { headers: { none: wrong(null) } }],
  ["headers", { headers: wrong(null) }],
  ["headers", { headers: { ["é".repeat(513)]: "1" } }],
  ["dedupeId", { dedupeId: "x".repeat(257) }],
  ["dedupeId", { dedupeId: "" }],
  ["dedupeId", { dedupeId: wrong(5) }],
  ["deliverAt", { deliverAt: wrong("2030-01-01") }],
  ["deliverAt", { deliverAt: new Date("never") }],
  ["timestamp", { timestamp: wrong("now") }],
])("a record is refused for its %s: %o", async (field, record) => {
  await using producer = gmq.producer();
  const limit: unknown = expect.stringMatching(/.+/);
  await expect(producer.send("t", { value: "v", ...record })).rejects.toMatchObject({
    code: "invalid_argument",
    field,
    limit,
  });
  const [result] = await producer.sendBatch("t", [{ value: "v", ...record }]);
  expect(result).toMatchObject({ ok: false, error: { code: "invalid_argument", field } });
});

it.each<[string, unknown]>([
  ["options", null],
  ["brokers", { brokers: "http://localhost:50051" }],
  ["brokers", { brokers: [] }],
  ["auth.token", { auth: {} }],
  ["auth.token", { auth: null }],
  ["clientId", { clientId: 5 }],
  ["tls", { brokers: ["http://localhost:50051"], tls: {} }],
  ["tls.ca", { brokers: ["https://localhost:50051"], tls: { ca: 5 } }],
])("connect is refused for its %s: %o", async (field, options) => {
  const limit: unknown = expect.stringMatching(/.+/);
  await expect(connect(wrong(options))).rejects.toMatchObject({ code: "invalid_argument", field, limit });
});

it.each<[string, unknown]>([
  ["value.encode", {}],
  ["value.encode", { value: null }],
  ["value.encode", { value: 5 }],
  ["value.decode", { value: { encode: () => new Uint8Array() } }],
  ["value.encode", null],
])("a topic is refused for its %s: %o", (field, options) => {
  expect(() => topic("t", wrong(options))).toThrowError(
    expect.objectContaining({ code: "invalid_argument", field, limit: "a function" }),
  );
});

it("a header's name may take 1,024 bytes", async () => {
  await using producer = gmq.producer();
  await producer.send("t", { value: "v", headers: { ["é".repeat(512)]: "1" } });
});

it.each<[string, string, () => Promise<unknown>]>([
  ["createTopic", "partitions", () => gmq.admin.createTopic("u", { partitions: 0 })],
  ["createTopic", "partitions", () => gmq.admin.createTopic("u", { partitions: 1.5 })],
  ["createTopic", "retention", () => gmq.admin.createTopic("u", { retention: wrong("7d") })],
  ["addPartitions", "partitions", () => gmq.admin.addPartitions("t", -1)],
  ["purge", "toOffset", () => gmq.admin.purge("t", { toOffset: wrong(undefined) })],
  ["purge", "partition", () => gmq.admin.purge("t", { toOffset: 1n, partition: -1 })],
  ["explain", "partition", () => gmq.admin.explain("watch", "t", -1)],
  ["resetGroup", "to", () => gmq.admin.resetGroup("watch", { topic: "t", to: wrong("middle") })],
  ["resetGroup", "to.offset", () => gmq.admin.resetGroup("watch", { topic: "t", to: { offset: -1n } })],
  ["resetGroup", "partitions", () => gmq.admin.resetGroup("watch", { topic: "t", to: "latest", partitions: [-1] })],
  ["listPending", "limit", () => gmq.admin.listPending("watch", "t", 0, { limit: 1_001 })],
  ["browse", "limit", () => gmq.admin.browse("t", { limit: -1 })],
  ["browse", "from.timestamp", () => gmq.admin.browse("t", { from: { timestamp: -1 } })],
  ["deadLetters", "limit", () => gmq.admin.deadLetters("t", { group: "g", limit: -1 })],
  ["redrive", "filter.partition", () => gmq.admin.redrive("t", { group: "g", filter: { partition: -1 } })],
  [
    "redrive",
    "selected.offset",
    () => gmq.admin.redrive("t", { group: "g", selected: [{ partition: 0, offset: -1n }] }),
  ],
  ["createTopic", "request", () => gmq.admin.createTopic(wrong(5))],
  ["createTopic", "retention", () => gmq.admin.createTopic("u", { retention: wrong(null) })],
  ["pauseGroup", "request", () => gmq.admin.pauseGroup("watch", { topic: wrong(5) })],
  [
    "settlePending",
    "request",
    () => gmq.admin.settlePending("watch", { topic: "t", partition: 0, offsets: [wrong(0.5)], verb: "ack" }),
  ],
  ["resetGroup", "options", () => gmq.admin.resetGroup("watch", wrong(undefined))],
  ["purge", "options", () => gmq.admin.purge("t", wrong(undefined))],
  ["settlePending", "options", () => gmq.admin.settlePending("watch", wrong(undefined))],
  ["deadLetters", "options", () => gmq.admin.deadLetters("t", wrong(undefined))],
  ["redrive", "options", () => gmq.admin.redrive("t", wrong(null))],
  ["discardDeadLetters", "options", () => gmq.admin.discardDeadLetters("t", wrong(undefined))],
  ["alterTopic", "options", () => gmq.admin.alterTopic("t", wrong(undefined))],
  ["sendBatch", "records", () => gmq.producer().sendBatch("t", wrong({ 0: { value: "v" } }))],
  ["sendBatch", "records", () => gmq.producer().sendBatch("t", wrong(null))],
  ["a producer's close", "timeoutMs", () => gmq.producer().close({ timeoutMs: Number.NaN })],
  ["drain", "timeoutMs", () => gmq.subscribe("t", { group: "d" }, () => undefined).drain({ timeoutMs: -1 })],
  ["a call", "timeoutMs", () => gmq.admin.listTopics({ timeoutMs: Number.NaN })],
  ["send", "timeoutMs", () => gmq.producer().send("t", { value: "v" }, { timeoutMs: Number.POSITIVE_INFINITY })],
])("%s is refused for its %s", async (_call, field, run) => {
  const limit: unknown = expect.stringMatching(/.+/);
  await expect(run()).rejects.toMatchObject({ code: "invalid_argument", field, limit });
});

it("a send without a record, or a topic, names it", async () => {
  await using producer = gmq.producer();
  for (const record of [undefined, null, "text"]) {
    const refused = { code: "invalid_argument", field: "record", limit: "an object" };
    await expect(producer.send("t", wrong(record))).rejects.toMatchObject(refused);
    expect(await producer.sendBatch("t", [wrong(record)])).toMatchObject([{ ok: false, error: refused }]);
  }
  await expect(producer.send(wrong(undefined), { value: "v" })).rejects.toMatchObject({
    code: "invalid_argument",
    field: "topic",
  });
});

it("what is traced is refused as ever, and its trace ends", async () => {
  const ends: unknown[] = [];
  const traced = await connect({
    brokers: test.urls,
    instrumentation: {
      sending: () => ({ headers: {}, ended: ({ error }) => ends.push(error?.field) }),
      handling: (_message, _group, run) => run(),
      settling: () => () => undefined,
    },
  });
  const producer = traced.producer();
  await expect(producer.send("t", wrong(undefined))).rejects.toMatchObject({ field: "record" });
  await expect(producer.sendBatch("t", wrong(5))).rejects.toMatchObject({ field: "records" });
  await expect(producer.sendBatch("t", [{ value: "v" }], { timeoutMs: -1 })).rejects.toMatchObject({
    field: "timeoutMs",
  });
  expect(ends).toEqual(["record", "timeoutMs"]);
  await traced.close();
});

it("a verdict that is none is refused, and the record can still be settled", async () => {
  await gmq.producer().send("t", { partition: 1, value: "settle me" });
  await using consumer = gmq.consumer("t", { group: "by-hand" });
  const batch = await consumer.receive({ timeoutMs: 10_000 });
  const message = batch?.messages[0];
  for (const delayMs of [-1, Number.NaN, 1.5, 50 * 86_400_000]) {
    await expect(message?.retry({ delayMs })).rejects.toMatchObject({ code: "invalid_argument", field: "delayMs" });
  }
  await expect(message?.reject(wrong(undefined))).rejects.toMatchObject({ code: "invalid_argument", field: "reason" });
  await expect(consumer.receive({ timeoutMs: -1 })).rejects.toMatchObject({
    code: "invalid_argument",
    field: "timeoutMs",
  });
  await batch?.ack();
});

it("a subscription that the broker refuses ends with that, and tells of no lost connection", async () => {
  const subscription = gmq.subscribe("nothing.*", { group: "g" }, () => undefined);
  const events: string[] = [];
  const told = (async () => {
    for await (const { type } of subscription.status()) events.push(type);
  })();
  await expect(subscription.closed).rejects.toMatchObject({ code: "topic_not_found", field: "topic_patterns" });
  await told;
  expect(events).not.toContain("reconnecting");
});

it("none of it ended the session, and another one opens as ever", async () => {
  expect(connectionsLost).toBe(0);
  await test.brokers[0]?.kill();
  await test.brokers[0]?.restart();
  expect((await gmq.admin.describeTopic("t")).partitions).toBe(2);
});
