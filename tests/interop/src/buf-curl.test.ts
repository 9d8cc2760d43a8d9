/** `buf curl`, a gRPC client written in Go that knows GMQ by reflection only, over each of its three protocols, against a real standalone. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buf, type Ran, run } from "./harness/run.js";
import { type Standalone, startStandalone } from "./harness/standalone.js";
import { base64, name } from "./harness/values.js";

let gmq: Standalone;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gmq-buf-"));
  gmq = await startStandalone();
}, 60_000);

afterAll(async () => {
  expect(await gmq.stop()).toBe(0);
  await rm(folder, { recursive: true });
});

/** Exit codes of `buf curl` are gRPC's, shifted by three bits. */
const exitOf = { deadlineExceeded: 4 << 3, invalidArgument: 3 << 3, resourceExhausted: 8 << 3 };

/** The bytes of the typed detail in what buf tells of an error. */
function errorOf(stderr: string): string {
  const { details } = JSON.parse(stderr) as { details: { type: string; value: string }[] };
  expect(details.map(({ type }) => type)).toEqual(["gmq.v1.Error"]);
  return Buffer.from(details[0]?.value ?? "", "base64").toString("latin1");
}

it("lists services and their methods", async () => {
  const services = await run(buf, ["curl", "--list-services", gmq.url]);
  expect(services.stdout.trim().split("\n")).toEqual(
    expect.arrayContaining(["gmq.v1.AdminService", "gmq.v1.BrokerService", "grpc.health.v1.Health"]),
  );
  const methods = await run(buf, ["curl", "--list-methods", gmq.url]);
  expect(methods.stdout).toContain("gmq.v1.BrokerService/Publish");
});

describe.each(["grpc", "grpcweb", "connect"])("over %s", (protocol) => {
  function call(
    method: string,
    request: object | string,
    more: readonly string[] = [],
    enough?: (stdout: string) => boolean,
  ): Promise<Ran> {
    const args = ["curl", "--http2-prior-knowledge", "--protocol", protocol, ...more, "--data", "@-"];
    const input = typeof request === "string" ? request : JSON.stringify(request);
    const options = enough === undefined ? { input } : { input, enough };
    return run(buf, [...args, `${gmq.url}/gmq.v1.BrokerService/${method}`], options);
  }

  async function store(topic: string, value: string): Promise<void> {
    expect(await call("Publish", { topic, partition: 0, value: base64(value) })).toMatchObject({ code: 0 });
  }

  /** The events of a stream that was cancelled (the process ended) once so many records had come. */
  async function consume(request: object, records: number) {
    const count = (stdout: string): number => stdout.match(/"record":/g)?.length ?? 0;
    const { stdout } = await call("Consume", request, [], (text) => count(text) >= records && text.endsWith("}\n"));
    // One JSON document after the other.
    const events = JSON.parse(`[${stdout.replaceAll(/\}\s*\{/g, "},{")}]`) as {
      started?: { sessionId: string };
      record?: { value: string; offset?: string; assignmentId: number; attempts?: number };
    }[];
    return {
      sessionId: events[0]?.started?.sessionId,
      records: events.flatMap(({ record }) => (record === undefined ? [] : [record])),
    };
  }

  it("publishes, and hears where", async () => {
    const topic = name();
    const { stdout, code } = await call("Publish", { topic, key: "user_id_123", value: base64("one") });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ topic });
  });

  it("subscribes; a cancelled stream leaves, and what was not settled comes again", async () => {
    const topic = name();
    for (const value of ["a", "b"]) await store(topic, value);
    const first = await consume({ group: `${topic}-g`, topics: [topic] }, 2);
    expect(first.sessionId).toMatch(/./);
    expect(first.records.map(({ value }) => value)).toEqual([base64("a"), base64("b")]);
    const second = await consume({ group: `${topic}-g`, topics: [topic], autoAck: true }, 2);
    expect(second.records.map(({ value }) => value)).toEqual([base64("a"), base64("b")]);
  });

  it("settles", async () => {
    const topic = name();
    for (const value of ["a", "b"]) await store(topic, value);
    // The stream stays while another process settles by its session.
    let settled: Promise<Ran> | undefined;
    const settleFirst = (stdout: string): void => {
      const sessionId = /"sessionId":\s*"([^"]+)"/.exec(stdout)?.[1];
      const assignmentId = Number(/"assignmentId":\s*(\d+)/.exec(stdout)?.[1]);
      if (settled !== undefined || sessionId === undefined || Number.isNaN(assignmentId)) return;
      const ranges = [{ firstOffset: "0", lastOffset: "0", verb: "VERB_ACK" }];
      settled = call("Settle", { sessionId, assignmentId, ranges });
    };
    const request = { group: `${topic}-g`, topics: [topic], maxInFlight: 1 };
    await call("Consume", request, [], (stdout) => {
      settleFirst(stdout);
      // One in flight: the second comes because the first was settled.
      return stdout.includes(base64("b"));
    });
    expect(await settled).toMatchObject({ code: 0, stdout: "{}\n" });
    const rest = await consume({ group: `${topic}-g`, topics: [topic], autoAck: true }, 1);
    expect(rest.records.map(({ value }) => value)).toEqual([base64("b")]);
  });

  it("hears errors with status, text and typed details", async () => {
    const { code, stderr } = await call("Publish", { topic: "no{braces}", value: base64("x") });
    expect(code).toBe(exitOf.invalidArgument);
    expect(errorOf(stderr)).toContain("invalid_name");
  });

  it("has deadlines", async () => {
    const { code, stderr } = await call("Consume", { group: "g", topics: [name()] }, ["--timeout", "1s"]);
    expect([code, stderr]).toEqual([exitOf.deadlineExceeded, expect.stringContaining("deadline_exceeded")]);
  });

  it("is refused what is too large", async () => {
    const topic = name();
    const record = await call("Publish", { topic, value: base64("x".repeat(3 << 20)) });
    expect(record.code).toBe(exitOf.invalidArgument);
    expect(errorOf(record.stderr)).toContain("record_too_large");
    const file = join(folder, "large.json");
    await writeFile(file, JSON.stringify({ topic, value: base64("x".repeat(20 << 20)) }));
    const message = await run(buf, [
      ...["curl", "--http2-prior-knowledge", "--protocol", protocol, "--data", `@${file}`],
      `${gmq.url}/gmq.v1.BrokerService/Publish`,
    ]);
    expect([message.code, message.stderr]).toEqual([exitOf.resourceExhausted, expect.stringMatching(/exhausted/)]);
  });
});
