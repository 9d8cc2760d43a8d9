/** What ends a session, and what does not: a hello that is none, silence, bytes that are no frames. Each ends with a typed status, and nobody else's session with it. */
import { once } from "node:events";
import { connect } from "node:http2";
import { limits } from "@gmq/protocol";
import { SubscriptionMode } from "@gmq/protocol/messages";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RawSession, RequestFrame } from "./harness/raw-session.js";
import { type Refusal, resolve, subscribe } from "./harness/request-frames.js";
import { startTestBroker, type TestBroker } from "./harness/test-broker.js";

let test: TestBroker;
let session: RawSession;

beforeAll(async () => {
  test = await startTestBroker();
  session = await test.session();
});

afterAll(() => test.stop());

/** Somebody else's session still publishes, and is not ended. */
async function goesOn(): Promise<void> {
  await session.publish("there", 1, ["sound"]);
  expect(session.end).toBeUndefined();
}

describe("a session that does not begin well", () => {
  it.each<[string, RequestFrame | undefined, Refusal]>([
    ["a request", resolve("there"), { code: "protocol_violation", field: "frame" }],
    ["a heartbeat", { case: "heartbeat", value: {} }, { code: "protocol_violation", field: "frame" }],
    ["an empty frame", undefined, { code: "protocol_violation", field: "frame" }],
    [
      "an older version",
      { case: "hello", value: { protocolVersion: 0 } },
      { code: "unsupported_version", field: "hello.protocol_version", limit: "1 to 1" },
    ],
    [
      "a newer version",
      { case: "hello", value: { protocolVersion: 2 } },
      { code: "unsupported_version", field: "hello.protocol_version", limit: "1 to 1" },
    ],
    [
      "newer versions",
      { case: "hello", value: { protocolVersion: 3, protocolVersionMin: 2 } },
      { code: "unsupported_version", field: "hello.protocol_version", limit: "1 to 1" },
    ],
    [
      "a range of versions that is none",
      { case: "hello", value: { protocolVersion: 1, protocolVersionMin: 2 } },
      { code: "invalid_argument", field: "hello.protocol_version_min", limit: "at most 1" },
    ],
    [
      "a client id that is too long",
      { case: "hello", value: { protocolVersion: 1, clientId: "x".repeat(257) } },
      { code: "invalid_argument", field: "hello.client_id", limit: "256 bytes" },
    ],
    [
      "a client id of few characters and too many bytes",
      { case: "hello", value: { protocolVersion: 1, clientId: "é".repeat(129) } },
      { code: "invalid_argument", field: "hello.client_id", limit: "256 bytes" },
    ],
  ])("with %s as the first frame ends with a typed status", async (_name, frame, refusal) => {
    const own = await test.session({ hello: false });
    own.send(1, frame);
    expect(await own.ended).toMatchObject(refusal);
    expect(own.frames).toEqual([]);
    await goesOn();
  });

  it("ends when it says nothing", async () => {
    const hasty = await startTestBroker({ helloTimeoutMs: 100 });
    try {
      const own = await hasty.session({ hello: false });
      expect(await own.ended).toMatchObject({ code: "deadline_exceeded", field: "hello", limit: "100 ms" });
      await expect.poll(() => hasty.broker.sessionCount).toBe(0);
    } finally {
      await hasty.stop();
    }
  });
});

describe("a client that is silent", () => {
  it("ends when the client falls silent, and lives while it does not", async () => {
    const strict = await startTestBroker({ heartbeatIntervalMs: 500 });
    try {
      const lively = await strict.session({ silent: true });
      lively.beatEvery(30);
      const silent = await strict.session({ silent: true });
      expect(await silent.ended).toMatchObject({ code: "unavailable", field: "heartbeat", limit: "1500 ms" });
      expect(silent.all("heartbeat").length).toBeGreaterThan(0);
      expect(lively.end).toBeUndefined();
    } finally {
      await strict.stop();
    }
  });

  it("passes everything on at once when a client falls silent, also what static members have", async () => {
    const strict = await startTestBroker({ heartbeatIntervalMs: 500 });
    try {
      const silent = await strict.session({ silent: true });
      const membership = { memberId: "steady", staticMember: true, sessionTimeoutMs: limits.sessionTimeoutMsMax };
      await silent.askFor(subscribe({ group: "steady-group", ...membership }), "subscribed");
      // Silence lasts for the shortest session timeout.
      const brief = { subscriptionId: 2, group: "brief-group", sessionTimeoutMs: limits.sessionTimeoutMsMin };
      await silent.askFor(subscribe(brief), "subscribed");
      expect(await silent.ended).toMatchObject({ code: "unavailable", field: "heartbeat" });
      const next = await strict.session({ silent: true });
      next.beatEvery(30);
      expect(await next.subscribe("there", "steady-group", 2)).toHaveLength(2);
    } finally {
      await strict.stop();
    }
  });

  it("goes on after a session timeout that is far too short, in a group and in a broadcast", async () => {
    const own = await test.session();
    for (const mode of [SubscriptionMode.EXCLUSIVE, SubscriptionMode.SHARED, SubscriptionMode.BROADCAST]) {
      const answers = await own.answersTo(subscribe({ mode, sessionTimeoutMs: 1 }));
      const field = "session_timeout_ms";
      expect(answers).toMatchObject([
        { case: "error", value: { code: "invalid_argument", field, limit: "1000 to 600000 ms" } },
      ]);
    }
    expect(own.end).toBeUndefined();
  });
});

describe("bytes that are no frames", () => {
  /** Writes raw bytes as the body of a session call and returns how the call ended. */
  async function call(bytes: Uint8Array, end: boolean): Promise<{ status: string; detail: string }> {
    const connection = connect(test.url);
    try {
      const stream = connection.request({
        ":method": "POST",
        ":path": "/gmq.v1.BrokerService/Session",
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.resume();
      if (end) stream.end(bytes);
      else stream.write(bytes);
      const [trailers] = (await once(stream, "trailers")) as [Record<string, string>];
      const detail = Buffer.from(trailers["grpc-status-details-bin"] ?? "", "base64").toString("latin1");
      return { status: trailers["grpc-status"] ?? "", detail };
    } finally {
      connection.destroy();
    }
  }

  const message = (bytes: readonly number[]) => Buffer.from([0, 0, 0, 0, bytes.length, ...bytes]);

  it.each([
    ["garbage", message([0xff, 0xff, 0xff]), false, "malformed_frame"],
    ["a message that breaks off", message([0x12, 0x7f, 0x08]), false, "malformed_frame"],
    ["a varint without end", message(new Array<number>(20).fill(0x80)), false, "malformed_frame"],
    ["a compressed message", Buffer.from([1, 0, 0, 0, 1, 0]), false, "malformed_frame"],
    ["a stream that ends inside a message", Buffer.from([0, 0, 0, 0, 9, 1]), true, "malformed_frame"],
  ])("%s ends that call with a typed status, nobody else's", async (_name, bytes, end, code) => {
    const { status, detail } = await call(bytes, end);
    expect(status).toBe("3");
    expect(detail).toContain(code);
    await goesOn();
  });

  it("an announced frame over the limit is refused before it is gathered", async () => {
    const { status, detail } = await call(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), false);
    expect(status).toBe("8");
    expect(detail).toContain("frame_too_large");
    expect(detail).toContain("8388608 bytes");
    await goesOn();
  });
});
