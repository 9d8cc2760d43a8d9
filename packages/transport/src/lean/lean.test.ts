import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import {
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
} from "@gmq/protocol/messages";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { anybody } from "../caller.js";
import type { FrameStream, PeerContext } from "../frame-stream.js";
import { openLeanStream } from "./lean-client.js";
import { createLeanHandler } from "./lean-server.js";

const path = "/gmq.v1.BrokerService/Session";
const clientCodec = {
  decode: (bytes: Uint8Array) => fromBinary(SessionResponseSchema, bytes),
  encode: (frame: SessionRequest) => [toBinary(SessionRequestSchema, frame)],
};
const serverCodec = {
  decode: (bytes: Uint8Array) => fromBinary(SessionRequestSchema, bytes),
  encode: (frame: SessionResponse) => [toBinary(SessionResponseSchema, frame)],
};

type ServerSide = FrameStream<SessionRequest, SessionResponse>;
let server: Http2Server;
let session: ClientHttp2Session;
let accept: (stream: ServerSide, peer: PeerContext) => void;

beforeEach(async () => {
  const handler = createLeanHandler<SessionRequest, SessionResponse>({
    path,
    codec: serverCodec,
    accept: (stream, peer) => accept(stream, peer),
  });
  server = createServer();
  server.on("stream", (stream, headers) => {
    if (handler.takes(headers)) return handler.serve(stream, headers, anybody);
    stream.respond({ ":status": 404, "content-type": "text/plain" });
    stream.end("not found\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterEach(async () => {
  session.destroy();
  server.close();
  await once(server, "close");
});

function open(options: { path?: string; headers?: Record<string, string>; signal?: AbortSignal } = {}) {
  const stream = openLeanStream<SessionResponse, SessionRequest>(session, { path, codec: clientCodec, ...options });
  const frames: SessionResponse[] = [];
  const drained = { count: 0 };
  const ended = new Promise<GmqError | undefined>((resolve) => {
    stream.start({ frame: (frame) => frames.push(frame), drain: () => void drained.count++, end: resolve });
  });
  return { stream, frames, ended, drained };
}

const request = (correlationId: number, topic = "t") =>
  create(SessionRequestSchema, { correlationId, frame: { case: "resolveTopic", value: { topic } } });
const answer = (correlationId: number) =>
  create(SessionResponseSchema, { correlationId, frame: { case: "heartbeat", value: {} } });

describe("lean gRPC stream", () => {
  it("carries frames both ways in order and ends in order", async () => {
    const seen: number[] = [];
    accept = (stream) =>
      stream.start({
        frame(frame) {
          seen.push(frame.correlationId);
          stream.send(answer(frame.correlationId));
        },
        drain: () => undefined,
        end: () => stream.close(),
      });
    const client = open();
    for (let id = 1; id <= 1_000; id++) client.stream.send(request(id));
    await expect.poll(() => client.frames.length).toBe(1_000);
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
    expect(client.frames.map(({ correlationId }) => correlationId)).toEqual(seen);
    client.stream.close();
    expect(await client.ended).toBeUndefined();
  });

  it("carries a typed error with field and limit as the call's status", async () => {
    accept = (stream) => {
      stream.start({ frame: () => undefined, drain: () => undefined, end: () => undefined });
      stream.close(
        new GmqError("unsupported_version", "version 9 — unknown", { field: "protocol_version", limit: "1" }),
      );
    };
    expect(await open().ended).toMatchObject({
      code: "unsupported_version",
      message: "version 9 — unknown",
      field: "protocol_version",
      limit: "1",
    });
  });

  it("tells the server that the client cancelled or vanished", async () => {
    const ends: (GmqError | undefined)[] = [];
    accept = (stream) =>
      stream.start({ frame: () => undefined, drain: () => undefined, end: (error) => void ends.push(error) });
    const abort = new AbortController();
    const client = open({ signal: abort.signal });
    client.stream.send(request(1));
    await once(server, "stream").catch(() => undefined);
    abort.abort();
    expect(await client.ended).toMatchObject({ code: "cancelled" });
    await expect.poll(() => ends.length).toBe(1);
    expect(ends[0]?.code).toBe("cancelled");
  });

  it("slows a sender down whose peer does not read, and tells it when there is room", async () => {
    let serverStream: ServerSide | undefined;
    let received = 0;
    accept = (stream) => {
      serverStream = stream;
      stream.start({ frame: () => void received++, drain: () => undefined, end: () => stream.close() });
      stream.pause();
    };
    const client = open();
    const large = "x".repeat(200_000);
    let sent = 0;
    while (client.stream.send(request(1, large))) sent++;
    expect(sent).toBeLessThan(40);
    await expect.poll(() => serverStream !== undefined).toBe(true);
    expect(client.drained.count).toBe(0);
    serverStream?.resume();
    await expect.poll(() => received).toBe(sent + 1);
    await expect.poll(() => client.drained.count).toBe(1);
    client.stream.close();
  });

  describe("whose client does not read", () => {
    /** Opens one, and returns the server's end of it. */
    async function openUnread() {
      let told: GmqError | undefined;
      const accepted = new Promise<ServerSide>((resolve) => {
        accept = (stream) => {
          const end = (error: GmqError | undefined): void => {
            told = error;
          };
          stream.start({ frame: () => undefined, drain: () => undefined, end });
          resolve(stream);
        };
      });
      const streams = once(server, "stream") as Promise<[ServerHttp2Stream]>;
      const raw = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
      });
      const broken = new Promise<Error>((resolve) => raw.once("error", resolve));
      const [stream] = await streams;
      const closed = new Promise<void>((resolve) => stream.once("close", resolve));
      return { frames: await accepted, stream, closed, broken, told: () => told };
    }

    const large = create(SessionResponseSchema, {
      frame: { case: "resolvedTopic", value: { topic: "x".repeat(1024 * 1024) } },
    });

    afterEach(() => {
      vi.useRealTimers();
    });

    it("is reset when what is queued at its close was not read in time", async () => {
      const { frames, stream, closed, broken } = await openUnread();
      frames.send(large);
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      frames.close();
      await vi.advanceTimersByTimeAsync(limits.closeTimeoutMs - 1);
      expect(stream.destroyed).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      await closed;
      expect((await broken).message).toContain("NGHTTP2_ENHANCE_YOUR_CALM");
    });

    it("is cut off with all that is queued when that is too much", async () => {
      const { frames, closed, broken, told } = await openUnread();
      while (!frames.closed) frames.send(large);
      await closed;
      expect((await broken).message).toContain("NGHTTP2_ENHANCE_YOUR_CALM");
      expect(told()).toMatchObject({ code: "resource_exhausted", field: "send buffer", limit: "67108864 bytes" });
    });
  });

  describe("whose server does not read", () => {
    const closers: (() => void)[] = [];

    afterEach(() => {
      vi.useRealTimers();
      for (const close of closers.splice(0)) close();
    });

    /** A connection by way of a socket that can stop reading. */
    async function connectThrough(): Promise<{ readonly session: ClientHttp2Session; block(): void }> {
      const { port } = server.address() as AddressInfo;
      const sockets: Socket[] = [];
      const way = createTcpServer((socket) => {
        const onward = connectTcp(port, "127.0.0.1");
        for (const one of [socket, onward]) one.on("error", () => one.destroy());
        socket.pipe(onward).pipe(socket);
        sockets.push(socket, onward);
      });
      way.listen(0, "127.0.0.1");
      await once(way, "listening");
      const through = connect(`http://127.0.0.1:${(way.address() as AddressInfo).port}`);
      through.on("error", () => through.destroy());
      closers.push(() => {
        through.destroy();
        for (const socket of sockets) socket.destroy();
        way.close();
      });
      return { session: through, block: () => void sockets[0]?.unpipe().pause() };
    }

    it.each(["the stream", "the connection"])(
      "is reset when what is queued at its close was not taken in time: by %s",
      async (blocked) => {
        let told: GmqError | undefined;
        accept = (stream) => {
          const end = (error: GmqError | undefined): void => {
            told = error;
          };
          stream.start({ frame: () => undefined, drain: () => undefined, end });
          stream.pause();
        };
        const through = await connectThrough();
        const requested = vi.spyOn(through.session, "request");
        const streams = once(server, "stream") as Promise<[ServerHttp2Stream]>;
        const frames = openLeanStream<SessionResponse, SessionRequest>(through.session, { path, codec: clientCodec });
        const ended = new Promise<GmqError | undefined>((resolve) => {
          frames.start({ frame: () => undefined, drain: () => undefined, end: resolve });
        });
        const [served] = await streams;
        if (blocked === "the connection") through.block();
        // More than the windows of a stream and of loopback sockets, less than what cuts a session off.
        for (let frame = 0; frame < 8; frame++) frames.send(request(2, "x".repeat(1024 * 1024)));
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
        frames.close();
        const stream = requested.mock.results[0]?.value as ClientHttp2Stream;
        const closed = new Promise<void>((resolve) => stream.once("close", resolve));
        await vi.advanceTimersByTimeAsync(limits.closeTimeoutMs - 1);
        expect(stream.destroyed).toBe(false);
        await vi.advanceTimersByTimeAsync(1);
        expect(stream.destroyed).toBe(true);
        await closed;
        expect(vi.getTimerCount()).toBe(0);
        expect(await ended).toBeUndefined();
        vi.useRealTimers();
        if (blocked === "the connection") return;
        await expect.poll(() => served.destroyed, { timeout: 15_000 }).toBe(true);
        expect(served.rstCode).toBe(constants.NGHTTP2_CANCEL);
        expect(told).toMatchObject({ code: "cancelled" });
      },
    );

    it("leaves no timer behind when it was taken", async () => {
      accept = (stream) => stream.start({ frame: () => undefined, drain: () => undefined, end: () => stream.close() });
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const requested = vi.spyOn(session, "request");
      const client = open();
      client.stream.send(request(1));
      client.stream.close();
      const stream = requested.mock.results[0]?.value as ClientHttp2Stream;
      await new Promise<void>((resolve) => stream.once("close", resolve));
      expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
      expect(vi.getTimerCount()).toBe(0);
    });
  });

  it("refuses an oversized frame and garbage with a typed error", async () => {
    accept = (stream) => stream.start({ frame: () => undefined, drain: () => undefined, end: () => undefined });
    const over = open();
    over.stream.send(request(1, "x".repeat(9 * 1024 * 1024)));
    expect(await over.ended).toMatchObject({ code: "frame_too_large", limit: "8388608 bytes" });
    const raw = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    raw.resume();
    raw.write(Buffer.from([0, 0, 0, 0, 3, 255, 255, 255]));
    const [trailers] = (await once(raw, "trailers")) as [Record<string, string>];
    expect(trailers["grpc-status"]).toBe("3");
  });

  it("ends at the caller's grpc-timeout", async () => {
    accept = (stream) => stream.start({ frame: () => undefined, drain: () => undefined, end: () => undefined });
    expect(await open({ headers: { "grpc-timeout": "50m" } }).ended).toMatchObject({ code: "deadline_exceeded" });
  });

  it("leaves other methods, protocols and encodings alone", async () => {
    expect(await open({ path: "/gmq.v1.BrokerService/Other" }).ended).toMatchObject({
      code: "unavailable",
      field: ":status",
    });
    expect(await open({ headers: { "grpc-encoding": "gzip" } }).ended).toMatchObject({ code: "unavailable" });
  });
});
