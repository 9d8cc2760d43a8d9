import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { GmqError } from "@gmq/protocol";
import { AdminService, BrokerService, SessionRequestSchema } from "@gmq/protocol/messages";
import {
  connectFrameHandler,
  createFrameConnection,
  createNodeTransport,
  createServiceClient,
  type FrameStream,
  leanFrameHandler,
  openFrameStream,
} from "@gmq/transport";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { captureLog, connectRaw, openHandles, readAll } from "../test/sockets.js";
import { type Listener, type ListenOptions, listen } from "./listen.js";

const frameBytes = () => 100;
let listener: Listener;
let log: ReturnType<typeof captureLog>;
let streams: FrameStream<unknown, unknown>[];

function start(options: Partial<ListenOptions> = {}): Promise<Listener> {
  return listen({
    host: "127.0.0.1",
    port: 0,
    logger: log.logger,
    plainHttp(request, response) {
      if (request.url !== "/hello") return false;
      response.writeHead(200, { "content-type": "text/plain" });
      response.end("hi");
      return true;
    },
    routes: (router) => {
      router.service(BrokerService, {
        publish({ topic }) {
          if (topic === "") throw new GmqError("invalid_name", "topic is empty", { field: "topic" });
          if (topic === "defect") throw new TypeError("inner secret");
          return { topic, partition: 0, offset: 0n };
        },
        async *consume(_request, context) {
          yield { event: { case: "started", value: { sessionId: "s1" } } } as const;
          await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        },
        session: connectFrameHandler(
          (stream) => {
            streams.push(stream);
            stream.start({ frame() {}, drain() {}, end: () => stream.close() });
          },
          { frameBytes },
        ),
      });
      router.service(AdminService, { listTopics: () => ({}) });
    },
    ...options,
  });
}

beforeEach(async () => {
  log = captureLog();
  streams = [];
  listener = await start();
});
afterEach(() => listener.close({ drainMs: 0 }));

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(listener.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

describe("one port", () => {
  it("speaks JSON over HTTP/1.1, zero values and typed errors included", async () => {
    const answer = await post("/gmq.v1.BrokerService/Publish", { topic: "orders", value: "YQ==" });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      topic: "orders",
      partition: 0,
      offset: "0",
      duplicate: false,
      scheduled: false,
    });
    const refused = await post("/gmq.v1.BrokerService/Publish", {});
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ code: "invalid_argument", message: "topic is empty" });
  });

  it.each<[string, (url: string) => Transport]>([
    ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
    ["gRPC-web over HTTP/1.1", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
    ["gRPC-web over HTTP/2", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
    ["Connect over HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
    ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  ])("speaks %s: calls and server streams", async (_name, transportTo) => {
    const client = createClient(BrokerService, transportTo(listener.url));
    expect(await client.publish({ topic: "orders" })).toMatchObject({ topic: "orders", offset: 0n });
    const giveUp = new AbortController();
    const events = client.consume({ group: "g" }, { signal: giveUp.signal })[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ event: { case: "started", value: { sessionId: "s1" } } });
    giveUp.abort();
    await expect(events.next()).rejects.toThrow();
  });

  it("serves plain pages on both HTTP versions, else 404", async () => {
    expect(await (await fetch(`${listener.url}/hello`)).text()).toBe("hi");
    expect((await fetch(`${listener.url}/nothing`)).status).toBe(404);
    expect((await post("/gmq.v1.BrokerService/Nothing", {})).status).toBe(404);
  });

  it("tells an unknown method as unimplemented", async () => {
    const node = createNodeTransport({ url: listener.url });
    const admin = createServiceClient(AdminService, node.transport);
    await expect(admin.listGroups({})).rejects.toMatchObject({ code: "unimplemented" });
    node.close();
  });

  it("hides a defect from the caller and logs all of it", async () => {
    const spy = vi.spyOn(console, "error");
    const answer = await post("/gmq.v1.BrokerService/Publish", { topic: "defect" });
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("inner secret");
    expect(log.lines.join("")).toContain("inner secret");
    // The line in the log is found by the id that the caller has.
    expect(log.lines.join("")).toContain(answer.headers.get("x-request-id") ?? "no id");
    const url = `${listener.url}/gmq.v1.BrokerService/Publish`;
    const own = {
      method: "POST",
      headers: { "content-type": "application/json", "x-request-id": "mine-1" },
      body: "{}",
    };
    expect((await fetch(url, own)).headers.get("x-request-id")).toBe("mine-1");
    const odd = await fetch(url, { ...own, headers: { ...own.headers, "x-request-id": "a b" } });
    expect(odd.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(spy).not.toHaveBeenCalled();
  });

  it("refuses a message over the limit", async () => {
    const answer = await post("/gmq.v1.BrokerService/Publish", { topic: "t", value: "A".repeat(9 * 1024 * 1024) });
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({ code: "resource_exhausted" });
  });

  it("lets who reads nothing before all is sent read why a message was refused, on the connection that goes on", async () => {
    const socket = await connectRaw(listener.port);
    const body = Buffer.alloc(12 * 1024 * 1024);
    body.writeUInt32BE(body.length - 5, 1);
    const lines = (type: string, length: number) =>
      `POST /gmq.v1.BrokerService/Publish HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n`;
    socket.pause();
    socket.write(`${lines("application/grpc-web+proto", body.length)}\r\n`);
    await new Promise<void>((resolve, reject) =>
      socket.write(body, (error) => (error == null ? resolve() : reject(error))),
    );
    socket.write(`${lines("application/json", 13)}connection: close\r\n\r\n{"topic":"t"}`);
    socket.resume();
    const answers = await readAll(socket);
    expect(answers).toMatch(/grpc-status: ?8/);
    expect(answers).toContain('"topic":"t"');
  });

  it("lets pages of allowed origins call, and no others", async () => {
    expect(
      (await fetch(`${listener.url}/hello`, { headers: { origin: "https://a.example" } })).headers.has("vary"),
    ).toBe(false);
    await listener.close({ drainMs: 0 });
    listener = await start({ allowedOrigins: ["https://a.example"] });
    const preflight = { "access-control-request-method": "POST" };
    const ask = (origin: string) =>
      fetch(`${listener.url}/gmq.v1.BrokerService/Publish`, { method: "OPTIONS", headers: { origin, ...preflight } });
    const allowed = await ask("https://a.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://a.example");
    expect(allowed.headers.get("access-control-allow-headers")).toContain("Connect-Protocol-Version");
    expect((await ask("https://b.example")).headers.has("access-control-allow-origin")).toBe(false);
    const answer = await post("/gmq.v1.BrokerService/Publish", { topic: "t" }, { origin: "https://a.example" });
    expect(answer.headers.get("access-control-expose-headers")).toContain("Grpc-Status");
  });

  it("names host and port when it is in use", async () => {
    await expect(start({ port: listener.port })).rejects.toMatchObject({
      name: "GmqError",
      code: "unavailable",
      message: `cannot listen on 127.0.0.1:${listener.port}: another process listens there`,
    });
    await expect(start({ host: "203.0.113.1" })).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

describe("odd connections", () => {
  it("takes a preface that comes byte by byte", async () => {
    const socket = await connectRaw(listener.port);
    for (const byte of Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) {
      socket.write(Buffer.from([byte]));
      await sleep(1);
    }
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    const [settings] = (await new Promise<[Buffer]>((resolve) => socket.once("data", (data) => resolve([data])))) as [
      Buffer,
    ];
    expect(settings[3]).toBe(4);
    socket.destroy();
  });

  it.each([
    ["garbage", "\u0016\u0003\u0001 not http at all\r\n\r\n"],
    ["a broken preface", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"],
    ["half a preface and its end", "PRI * HT"],
  ])("answers %s with 400 and closes", async (_name, bytes) => {
    const socket = await connectRaw(listener.port);
    socket.end(Buffer.from(bytes, "latin1"));
    expect(await readAll(socket)).toMatch(/^(HTTP\/1.1 400|$)/);
    expect((await fetch(`${listener.url}/hello`)).status).toBe(200);
  });

  it("survives hosts and paths that make no URL", async () => {
    for (const host of ["[", "a b", ""]) {
      const socket = await connectRaw(listener.port);
      socket.write(
        `POST /gmq.v1.BrokerService/Publish HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
      );
      expect(await readAll(socket)).toMatch(/^HTTP\/1.1 400/);
    }
    expect((await fetch(`${listener.url}/hello`)).status).toBe(200);
  });

  it("closes a connection that says nothing, and one that stops inside the preface", async () => {
    await listener.close({ drainMs: 0 });
    listener = await start({ limits: { firstBytesTimeoutMs: 50 } });
    const silent = await connectRaw(listener.port);
    const stuck = await connectRaw(listener.port);
    stuck.write("PRI * H");
    expect(await Promise.all([readAll(silent), readAll(stuck)])).toEqual(["", ""]);
  });

  it("refuses connections and headers over their bounds", async () => {
    await listener.close({ drainMs: 0 });
    listener = await start({ limits: { connectionsMax: 1, headerBytesMax: 2_000 } });
    const first = await connectRaw(listener.port);
    await sleep(20);
    expect(await readAll(await connectRaw(listener.port))).toBe("");
    first.write(`GET /hello HTTP/1.1\r\nhost: h\r\nx: ${"y".repeat(3_000)}\r\n\r\n`);
    expect(await readAll(first)).toMatch(/^HTTP\/1.1 431/);
    expect(log.lines.join("")).toContain("too many connections");
    expect(listener.refused).toEqual({ total: 1, address: 0 });
  });
});

describe("close", () => {
  it("lets running calls end, takes no new ones, and leaves no handle", async () => {
    await listener.close({ drainMs: 0 });
    await expect.poll(() => openHandles()).toEqual([]);
    const finishers: (() => void)[] = [];
    listener = await start({
      routes: (router) =>
        router.service(AdminService, {
          listTopics: () =>
            new Promise((resolve) => {
              finishers.push(() => resolve({}));
            }),
        }),
    });
    const node = createNodeTransport({ url: listener.url });
    const running = createServiceClient(AdminService, node.transport).listTopics({});
    await expect.poll(() => finishers).toHaveLength(1);
    const keptAlive = post("/gmq.v1.AdminService/ListTopics", {});
    await expect.poll(() => finishers).toHaveLength(2);
    const closing = listener.close({ drainMs: 5_000 });
    expect(listener.close({ drainMs: 1 })).toBe(closing);
    await sleep(50);
    await expect(fetch(`${listener.url}/hello`)).rejects.toThrow();
    for (const finish of finishers) finish();
    await running;
    expect((await keptAlive).status).toBe(200);
    const begun = performance.now();
    await closing;
    expect(performance.now() - begun).toBeLessThan(2_000);
    node.close();
    await expect.poll(() => openHandles()).toEqual([]);
    expect(log.lines.join("")).not.toContain("had to be broken");
  });

  it("ends streams that stay with unavailable once drainMs is over", async () => {
    const node = createNodeTransport({ url: listener.url });
    const stream = openFrameStream(node.transport, BrokerService.method.session, { frameBytes });
    const ended = new Promise<GmqError | undefined>((resolve) =>
      stream.start({ frame: () => undefined, drain: () => undefined, end: resolve }),
    );
    await expect.poll(() => streams).toHaveLength(1);
    const silent = await connectRaw(listener.port);
    const begun = performance.now();
    await listener.close({ drainMs: 100 });
    expect(performance.now() - begun).toBeGreaterThan(95);
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(await ended).toMatchObject({ code: "unavailable" });
    await readAll(silent);
    node.close();
    await expect.poll(() => openHandles()).toEqual([]);
  });
});

describe("a peer that dies", () => {
  it("is noticed when it only ended its side of the connection", async () => {
    const socket = connect({ port: listener.port, host: "127.0.0.1", allowHalfOpen: true });
    const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"), emptySettings]));
    await once(socket, "data");
    socket.resume();
    socket.end();
    await once(socket, "end", { signal: AbortSignal.timeout(2_000) });
    socket.destroy();
    await listener.close({ drainMs: 1_000 });
    await expect.poll(() => openHandles()).toEqual([]);
  });
});

describe("a frame stream", () => {
  it("is taken before it becomes a request, and everything else goes on to Connect", async () => {
    const taken: string[] = [];
    const handler = leanFrameHandler(BrokerService.method.session, (stream) => {
      taken.push("lean");
      stream.start({ frame: () => stream.close(), drain: () => undefined, end: () => undefined });
    });
    await listener.close({ drainMs: 0 });
    listener = await start({ frameHandlers: [handler] });
    const connection = createFrameConnection({ url: listener.url });
    const stream = connection.open(BrokerService.method.session);
    const ended = new Promise<GmqError | undefined>((resolve) =>
      stream.start({ frame: () => undefined, drain: () => undefined, end: resolve }),
    );
    stream.send(create(SessionRequestSchema, { correlationId: 1 }));
    expect(await ended).toBeUndefined();
    expect(taken).toEqual(["lean"]);
    const node = createNodeTransport({ url: listener.url });
    expect((await createServiceClient(BrokerService, node.transport).publish({ topic: "t" })).topic).toBe("t");
    node.close();
    connection.close();
    await listener.close({ drainMs: 1_000 });
    await expect.poll(() => openHandles()).toEqual([]);
  });
});
