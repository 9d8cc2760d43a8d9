import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import {
  BrokerService,
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
} from "@gmq/protocol/messages";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startTestServer, type TestServer } from "../../test/connect-server.js";
import type { FrameStream, PeerContext } from "../frame-stream.js";
import { createNodeTransport, type NodeTransport } from "../node-transport.js";
import { openFrameStream } from "./connect-client.js";
import { connectFrameHandler } from "./connect-server.js";

type ServerSide = FrameStream<SessionRequest, SessionResponse>;
let server: TestServer;
let node: NodeTransport;
let accept: (stream: ServerSide, peer: PeerContext) => void;

const bytesOf = (frame: SessionRequest | SessionResponse): number =>
  frame.frame.case === "error" ? frame.frame.value.message.length : 16;

beforeEach(async () => {
  const handler = connectFrameHandler<SessionRequest, SessionResponse>((stream, peer) => accept(stream, peer), {
    frameBytes: bytesOf,
  });
  server = await startTestServer((router) => router.service(BrokerService, { session: handler }));
  node = createNodeTransport({ url: server.url, token: "t0ken" });
});

afterEach(async () => {
  node.close();
  await server.close();
});

const request = (correlationId: number, topic = "t") =>
  create(SessionRequestSchema, { correlationId, frame: { case: "resolveTopic", value: { topic } } });
const answer = (correlationId: number, text = "") =>
  create(SessionResponseSchema, { correlationId, frame: { case: "error", value: { message: text } } });

function open(options: { signal?: AbortSignal } = {}) {
  const stream = openFrameStream(node.transport, BrokerService.method.session, { frameBytes: bytesOf, ...options });
  const frames: SessionResponse[] = [];
  const ended = new Promise<GmqError | undefined>((resolve) => {
    stream.start({ frame: (frame) => frames.push(frame), drain: () => undefined, end: resolve });
  });
  return { stream, frames, ended };
}

/** Starts the server's side and tells its end. */
function watch(stream: ServerSide, frame: (frame: SessionRequest) => void = () => undefined) {
  const drain = vi.fn();
  const ended = new Promise<GmqError | undefined>((resolve) => stream.start({ frame, drain, end: resolve }));
  return { ended, drain };
}

describe("frames over Connect's gRPC", () => {
  it("carries frames both ways in order and ends in order", async () => {
    let peer: PeerContext | undefined;
    const seen: number[] = [];
    let serverEnd: Promise<GmqError | undefined> | undefined;
    accept = (stream, from) => {
      peer = from;
      serverEnd = watch(stream, (frame) => {
        seen.push(frame.correlationId);
        stream.send(answer(frame.correlationId));
      }).ended.then((error) => {
        for (let index = 0; index < 10; index++) stream.send(answer(1_000 + index));
        stream.close();
        return error;
      });
    };
    const call = open();
    for (let id = 1; id <= 500; id++) call.stream.send(request(id));
    await expect.poll(() => call.frames).toHaveLength(500);
    expect(seen).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
    expect(call.frames.map((frame) => frame.correlationId)).toEqual(seen);
    expect(peer?.header("authorization")).toBe("Bearer t0ken");
    expect(peer?.address).toMatch(/127\.0\.0\.1$/);
    call.stream.close();
    expect(await call.ended).toBeUndefined();
    expect(await serverEnd).toBeUndefined();
    expect(call.stream.closed).toBe(true);
    expect(call.stream.send(request(1))).toBe(true);
    await server.streamsGone();
  });

  it("sends what is queued before a close, then the error with code, field and limit", async () => {
    accept = (stream) => {
      watch(stream, () => {
        for (let id = 0; id < 100; id++) stream.send(answer(id));
        stream.close(new GmqError("batch_too_large", "too large: ü", { field: "records", limit: "5 records" }));
      });
    };
    const call = open();
    call.stream.send(request(1));
    expect(await call.ended).toMatchObject({
      code: "batch_too_large",
      message: "too large: ü",
      field: "records",
      limit: "5 records",
    });
    expect(call.frames).toHaveLength(100);
    await server.streamsGone();
  });

  it("cancels: the server hears of it and the stream is gone", async () => {
    let serverEnd: Promise<GmqError | undefined> | undefined;
    accept = (stream) => {
      serverEnd = watch(stream, (frame) => stream.send(answer(frame.correlationId))).ended;
    };
    const caller = new AbortController();
    const call = open({ signal: caller.signal });
    call.stream.send(request(1));
    await expect.poll(() => call.frames).toHaveLength(1);
    caller.abort();
    expect(await call.ended).toMatchObject({ code: "cancelled" });
    expect(await serverEnd).toMatchObject({ code: "cancelled" });
    await server.streamsGone();
  });

  it("cancels before it opened", async () => {
    const call = open({ signal: AbortSignal.abort() });
    expect(await call.ended).toMatchObject({ code: "cancelled" });
  });

  it("slows the sender down when its reader pauses, and loses nothing", async () => {
    let stream: ServerSide | undefined;
    const seen: number[] = [];
    accept = (given) => {
      stream = given;
      watch(given, (frame) => {
        seen.push(frame.correlationId);
        if (seen.length === 3) given.pause();
      });
    };
    const topic = "x".repeat(64 * 1024);
    const call = openFrameStream(node.transport, BrokerService.method.session, { frameBytes: () => topic.length });
    const drain = vi.fn();
    call.start({ frame: () => undefined, drain, end: () => undefined });
    let sent = 0;
    let room = true;
    while (room && sent < 1_000) {
      room = call.send(request(++sent, topic));
      await sleep(1);
    }
    // The windows (4 MiB), the send buffer (4 MiB) and what lies between are full.
    expect(room).toBe(false);
    expect(sent * topic.length).toBeGreaterThan(limits.sendBufferBytesMax);
    expect(sent * topic.length).toBeLessThan(5 * limits.sendBufferBytesMax);
    expect(seen).toHaveLength(3);
    expect(drain).not.toHaveBeenCalled();
    stream?.resume();
    await expect.poll(() => seen).toHaveLength(sent);
    expect(seen).toEqual(Array.from({ length: sent }, (_, index) => index + 1));
    await expect.poll(() => drain.mock.calls.length).toBeGreaterThan(0);
    call.close();
  });

  it("cuts a peer off that does not read", async () => {
    const text = "x".repeat(1024 * 1024);
    let serverEnd: Promise<GmqError | undefined> | undefined;
    let sent = 0;
    accept = (stream) => {
      serverEnd = watch(stream, () => {
        while (!stream.closed && sent < 200) {
          stream.send(answer(sent++, text));
        }
      }).ended;
    };
    const call = open();
    call.stream.pause();
    call.stream.send(request(1));
    await expect.poll(() => serverEnd).toBeDefined();
    expect(await serverEnd).toMatchObject({ code: "resource_exhausted", field: "send buffer" });
    expect(sent * text.length).toBeLessThanOrEqual(limits.sendBufferBytesFatal + 4 * text.length);
    call.stream.resume();
    expect(await call.ended).toMatchObject({ code: "resource_exhausted" });
    await server.streamsGone();
  });

  it("refuses a frame over the limit and one that is no message", async () => {
    const ends: Promise<GmqError | undefined>[] = [];
    accept = (stream) => void ends.push(watch(stream).ended);
    const tooLarge = await server.rawCall("/gmq.v1.BrokerService/Session", [
      Buffer.from([0, 0x7f, 0, 0, 0]),
      Buffer.alloc(1_000),
    ]);
    expect(tooLarge["grpc-status"]).toBe("8");
    expect(await ends[0]).toMatchObject({ code: "frame_too_large" });
    const garbage = await server.rawCall("/gmq.v1.BrokerService/Session", [
      Buffer.from([0, 0, 0, 0, 3, 255, 255, 255]),
    ]);
    expect(garbage["grpc-status"]).toBe("3");
    expect(await ends[1]).toMatchObject({ code: "malformed_frame" });
    await server.streamsGone();
  });

  it("tells a defect of the owner as internal, on both sides", async () => {
    accept = (stream) => {
      watch(stream, () => {
        throw new TypeError("owner's defect");
      });
    };
    const call = open();
    call.stream.send(request(1));
    expect(await call.ended).toMatchObject({ code: "internal" });
    await server.streamsGone();
  });

  it("is unavailable when the connection breaks", async () => {
    let serverEnd: Promise<GmqError | undefined> | undefined;
    accept = (stream) => {
      serverEnd = watch(stream, (frame) => stream.send(answer(frame.correlationId))).ended;
    };
    const call = open();
    call.stream.send(request(1));
    await expect.poll(() => call.frames).toHaveLength(1);
    server.destroySessions();
    expect(await call.ended).toMatchObject({ code: "unavailable", retryable: true });
    expect(await serverEnd).toMatchObject({ code: "cancelled" });
  });
});
