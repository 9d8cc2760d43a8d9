/** @grpc/grpc-js against a real standalone: unary, server stream, bidi session, errors, deadlines, cancels, oversized messages. */
import { crc32 } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect, type ForeignClient, foreignClient, type Message } from "./harness/foreign-client.js";
import { type Standalone, startStandalone } from "./harness/standalone.js";
import { name } from "./harness/values.js";

let gmq: Standalone;
let broker: ForeignClient;

beforeAll(async () => {
  gmq = await startStandalone();
  broker = foreignClient(gmq.address, "gmq.v1.BrokerService");
}, 60_000);

afterAll(async () => {
  broker.close();
  expect(await gmq.stop()).toBe(0);
});

const publish = (topic: string, value: string, more: object = {}) =>
  broker.call("Publish", { topic, value: Buffer.from(value), ...more });

describe("unary", () => {
  it("Publish stores a record and says where", async () => {
    const topic = name();
    const first = await publish(topic, "one", { key: "user_id_123", headers: { source: "grpc-js" } });
    expect(first).toMatchObject({ topic, offset: "0", duplicate: false });
    expect(await publish(topic, "two", { key: "user_id_123" })).toMatchObject({
      partition: first["partition"],
      offset: "1",
    });
    expect(await publish(topic, "three", { partition: 3 })).toMatchObject({ partition: 3 });
    const once = { partition: 0, dedupe_id: "d1" };
    const stored = await publish(topic, "four", once);
    expect(await publish(topic, "four", once)).toEqual({ ...stored, duplicate: true });
  });

  it("an error has status, text and details", async () => {
    const error = await publish("no{braces}", "x").then(
      () => undefined,
      (cause: unknown) => cause as { code: number; details: string; metadata: { get(key: string): unknown[] } },
    );
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining("topic") });
    const [details] = error?.metadata.get("grpc-status-details-bin") ?? [];
    const text = (details as Buffer).toString("latin1");
    expect(text).toContain("gmq.v1.Error");
    expect(text).toContain("invalid_name");
    expect(text).toContain("1 to 249 characters");
    await expect(publish("missing-partition", "x", { partition: 99 })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
    await expect(publish("two-keys", "x", { key: "a", key_bytes: Buffer.from("b") })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  it("a message over the limit is refused, and the connection goes on", async () => {
    const topic = name();
    await expect(publish(topic, "x".repeat(3 * 1024 * 1024))).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
    await expect(publish(topic, "x".repeat(20 * 1024 * 1024))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    expect(await publish(topic, "small", { partition: 0 })).toMatchObject({ offset: "0" });
  });
});

describe("Consume and Settle", () => {
  it("delivers, counts what is in flight, settles by verb", async () => {
    const topic = name();
    for (const value of ["a", "b", "c"]) await publish(topic, value, { partition: 0, key: "k", headers: { n: value } });
    const stream = broker.read("Consume", { group: `${topic}-g`, topics: [topic], max_in_flight: 2 });
    const { messages, ended } = collect(stream);
    const records = () => messages.filter(({ event }) => event === "record").map(({ record }) => record as Message);
    const values = () => records().map(({ value }) => (value as Buffer).toString());
    await expect.poll(values).toEqual(["a", "b"]);
    expect(records()[0]).toMatchObject({
      topic,
      partition: 0,
      offset: "0",
      attempts: 0,
      headers: [{ key: "n", value: Buffer.from("a") }],
    });
    const [first] = messages as { started: Message }[];
    const session_id = first?.started["session_id"];
    const settle = (record: Message | undefined, verb: string) =>
      broker.call("Settle", {
        session_id,
        assignment_id: record?.["assignment_id"],
        ranges: [{ first_offset: record?.["offset"], last_offset: record?.["offset"], verb }],
      });
    expect(await settle(records()[0], "VERB_ACK")).toEqual({ refusals: [] });
    await expect.poll(values).toEqual(["a", "b", "c"]);
    expect(await settle(records()[1], "VERB_RETRY")).toEqual({ refusals: [] });
    await expect.poll(values).toEqual(["a", "b", "c", "b"]);
    expect(records()[3]).toMatchObject({ offset: "1", attempts: 1 });
    expect(await settle({ ...records()[0], offset: "77" }, "VERB_ACK")).toMatchObject({
      refusals: [{ first_offset: "77", error: { code: "not_delivered" } }],
    });
    stream.cancel();
    expect((await ended).code).toBe(status.CANCELLED);
    // A cancelled stream has left the group: the next one gets what was not settled.
    const next = broker.read("Consume", { group: `${topic}-g`, topics: [topic], auto_ack: true });
    const rest = collect(next);
    await expect
      .poll(() =>
        rest.messages.flatMap(({ record }) =>
          record == null ? [] : [((record as Message)["value"] as Buffer).toString()],
        ),
      )
      .toEqual(["b", "c"]);
    next.cancel();
    await rest.ended;
  });

  it("ends at the caller's deadline", async () => {
    const startedMs = performance.now();
    const { ended } = collect(broker.read("Consume", { group: "g", topics: [name()] }, { deadlineMs: 300 }));
    expect((await ended).code).toBe(status.DEADLINE_EXCEEDED);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });

  it("refuses a group that is none before it streams records", async () => {
    const { ended } = collect(broker.read("Consume", { group: "{g}", topics: ["t"] }));
    expect(await ended).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining("group") });
  });
});

describe("Session", () => {
  /** A batch of one record, encoded by hand: `records { value }`. */
  function batchOf(value: string): Message {
    const body = Buffer.from(value);
    const record = Buffer.concat([Buffer.from([0x12, body.length]), body]);
    const records = Buffer.concat([Buffer.from([0x0a, record.length]), record]);
    return {
      record_count: 1,
      codec: "CODEC_NONE",
      crc32: crc32(records),
      uncompressed_bytes: records.length,
      records,
    };
  }

  it("hello, publish, subscribe, credit, deliver, settle, and an end in order", async () => {
    const topic = name();
    const session = broker.open("Session");
    const { messages, ended } = collect(session);
    let lastId = 0;
    const ask = async (frame: object): Promise<Message> => {
      const correlation_id = ++lastId;
      session.write({ correlation_id, ...frame });
      await expect.poll(() => messages.some((message) => message["correlation_id"] === correlation_id)).toBe(true);
      const answers = messages.filter((message) => message["correlation_id"] === correlation_id);
      expect(answers).toHaveLength(1);
      return answers[0] as Message;
    };
    expect(await ask({ hello: { protocol_version: 1, client_id: "grpc-js" } })).toMatchObject({
      frame: "welcome",
      welcome: { protocol_version: 1, batch_records_max: 65_536 },
    });
    const batches = ["a", "b"].map((value) => ({ partition: 0, batch: batchOf(value) }));
    expect(await ask({ publish: { topic, batches } })).toMatchObject({
      published: {
        results: [
          { error: null, first_offset: "0" },
          { error: null, first_offset: "1" },
        ],
      },
    });
    await ask({ subscribe: { subscription_id: 1, group: `${topic}-g`, topics: [topic] } });
    const assignments = () =>
      messages.flatMap(({ assigned }) => ((assigned as Message | null)?.["assignments"] ?? []) as Message[]);
    await expect.poll(() => assignments().length).toBe(4);
    session.write({ credit: { subscription_id: 1, records: 10, bytes: 1_000 } });
    const delivered = () => messages.flatMap(({ deliver }) => (deliver == null ? [] : [deliver as Message]));
    await expect.poll(() => delivered().length).toBeGreaterThan(0);
    const { assignment_id, entries } = delivered()[0] as { assignment_id: number; entries: { entry: Message }[] };
    expect(entries.map(({ entry }) => entry["base_offset"])).toEqual(["0"]);
    expect(Buffer.concat(entries.map(({ entry }) => entry["body"] as Buffer)).toString("latin1")).toContain("b");
    const ranges = [{ first_offset: 0, last_offset: 1, verb: "VERB_ACK" }];
    expect(await ask({ settlement: { assignment_id, ranges } })).toMatchObject({ settled: { refusals: [] } });
    expect(await ask({ settlement: { assignment_id: 99, ranges } })).toMatchObject({
      error: { code: "assignment_not_found", field: "assignment_id", retryable: false },
    });
    session.end();
    expect((await ended).code).toBe(status.OK);
  });

  it("answers everything that was asked before the client ended its side", async () => {
    const topic = name();
    const session = broker.open("Session");
    const { messages, ended } = collect(session);
    session.write({ correlation_id: 1, hello: { protocol_version: 1 } });
    for (let id = 2; id <= 51; id++)
      session.write({ correlation_id: id, publish: { topic, batches: [{ partition: 0, batch: batchOf(`r${id}`) }] } });
    session.end();
    expect((await ended).code).toBe(status.OK);
    const answered = messages.filter(({ frame }) => frame === "published").map((message) => message["correlation_id"]);
    expect(answered).toEqual(Array.from({ length: 50 }, (_, index) => index + 2));
  });

  it("ends with a typed status when it begins wrongly", async () => {
    const session = broker.open("Session");
    const { ended } = collect(session);
    session.write({ correlation_id: 1, hello: { protocol_version: 77 } });
    expect(await ended).toMatchObject({ code: status.FAILED_PRECONDITION, details: expect.stringContaining("77") });
  });

  it("that is cancelled hands its partitions over at once", async () => {
    const topic = name();
    const open = () => {
      const session = broker.open("Session");
      const collected = collect(session);
      session.write({ correlation_id: 1, hello: { protocol_version: 1 } });
      session.write({ correlation_id: 2, subscribe: { subscription_id: 1, group: `${topic}-g`, topics: [topic] } });
      const assigned = () => collected.messages.filter(({ frame }) => frame === "assigned").length;
      return { session, assigned, ...collected };
    };
    const first = open();
    await expect.poll(first.assigned).toBe(4);
    first.session.cancel();
    expect((await first.ended).code).toBe(status.CANCELLED);
    const second = open();
    await expect.poll(second.assigned, { timeout: 5_000 }).toBe(4);
    second.session.end();
    await second.ended;
  });
});

describe("what every gRPC server has", () => {
  it("health: the process and its services", async () => {
    const health = foreignClient(gmq.address, "grpc.health.v1.Health");
    for (const service of ["", "gmq.v1.BrokerService", "gmq.v1.AdminService"])
      expect(await health.call("Check", { service })).toEqual({ status: "SERVING" });
    await expect(health.call("Check", { service: "nobody" })).rejects.toMatchObject({ code: status.NOT_FOUND });
    const watch = health.read("Watch", { service: "" });
    const { messages } = collect(watch);
    await expect.poll(() => messages).toEqual([{ status: "SERVING" }]);
    watch.cancel();
    health.close();
  });

  it("reflection: services and files", async () => {
    const reflection = foreignClient(gmq.address, "grpc.reflection.v1.ServerReflection");
    const stream = reflection.open("ServerReflectionInfo");
    const { messages, ended } = collect(stream);
    stream.write({ list_services: "*" });
    stream.write({ file_containing_symbol: "gmq.v1.BrokerService" });
    stream.end();
    expect((await ended).code).toBe(status.OK);
    const [services, files] = messages as {
      list_services_response: { service: Message[] };
      file_descriptor_response: { file_descriptor_proto: Buffer[] };
    }[];
    expect(services?.list_services_response.service.map((service) => service["name"])).toEqual(
      expect.arrayContaining(["gmq.v1.BrokerService", "gmq.v1.AdminService", "grpc.health.v1.Health"]),
    );
    expect(files?.file_descriptor_response.file_descriptor_proto.length).toBeGreaterThan(2);
    reflection.close();
  });

  it("administration", async () => {
    const admin = foreignClient(gmq.address, "gmq.v1.AdminService");
    const { topics } = (await admin.call("ListTopics", {})) as { topics: Message[] };
    expect(Array.isArray(topics)).toBe(true);
    admin.close();
  });

  it("a method that is not there is unimplemented", async () => {
    const response = await fetch(`${gmq.url}/gmq.v1.BrokerService/Nothing`, { method: "POST" });
    expect(response.status).toBe(404);
  });
});
