import { EventEmitter, once } from "node:events";
import { connect } from "node:http2";
import type { Server, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import { AdminService, BrokerService, SessionRequestSchema } from "@gmq/protocol/messages";
import { createFrameConnection, leanFrameHandler } from "@gmq/transport";
import { createCallConnection } from "@gmq/transport/unary";
import { afterEach, describe, expect, it } from "vitest";
import { createAuthority } from "../test/certificates.js";
import { captureLog, connectRaw, openHandles, readAll } from "../test/sockets.js";
import { createConnectionAdmission } from "./connection-admission.js";
import { countedAddress } from "./counted-address.js";
import { type Listener, type ListenOptions, listen } from "./listen.js";

const log = captureLog();
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await expect.poll(openHandles).toEqual([]);
});

/** One connection in a second, as far as this test is quick: those before the last one may be of another second. */
async function start(options: Partial<ListenOptions> = {}): Promise<Listener> {
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    logger: log.logger,
    routes: (router) => router.service(AdminService, { listTopics: () => ({}) }),
    frameHandlers: [
      leanFrameHandler(BrokerService.method.session, (stream) =>
        stream.start({ frame: () => stream.close(), drain: () => undefined, end: () => undefined }),
      ),
    ],
    limits: { connectionsPerSecondAndAddressMax: 1 },
    ...options,
  });
  cleanups.push(() => listener.close({ drainMs: 0 }));
  return listener;
}

/** What a try that was turned away got. A second that begins between two connections lets both in, so it goes on. */
async function refusedOf<Refusal>(attempt: () => Promise<Refusal | undefined>): Promise<Refusal> {
  for (let tries = 0; tries < 20; tries++) {
    const refusal = await attempt();
    if (refusal !== undefined) return refusal;
  }
  throw new Error("nothing was turned away");
}

describe("connections of one address in a second", () => {
  it("are counted by address and second, IPv6 by network", () => {
    let nowMs = 5_000;
    const front = Object.assign(new EventEmitter(), { maxConnections: 7 }) as unknown as Server;
    const admission = createConnectionAdmission(front, 2, log.logger, () => nowMs);
    const takes = (remoteAddress: string): boolean => admission.takes({ remoteAddress } as Socket);
    expect([takes("192.0.2.1"), takes("::ffff:192.0.2.1"), takes("192.0.2.1")]).toEqual([true, true, false]);
    expect([takes("192.0.2.2"), takes("2001:db8::1"), takes("2001:db8::2"), takes("2001:db8::3")]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(takes("2001:db8:0:1::1")).toBe(true);
    nowMs = 5_999;
    expect(takes("192.0.2.1")).toBe(false);
    nowMs = 6_000;
    expect(takes("192.0.2.1")).toBe(true);
    front.emit("drop");
    expect(admission.refused).toEqual({ total: 1, address: 3 });
  });

  it("keep a bounded number of addresses", () => {
    const admission = createConnectionAdmission(new EventEmitter() as Server, 1, log.logger, () => 0);
    const takes = (remoteAddress: string): boolean => admission.takes({ remoteAddress } as Socket);
    expect([takes("a"), takes("a")]).toEqual([true, false]);
    for (let other = 0; other < 10_000; other++) takes(`other ${other}`);
    expect(takes("a")).toBe(true);
  });

  it("are told in HTTP/1.1 to come later", async () => {
    const listener = await start();
    const text = await refusedOf(async () => {
      const socket = await connectRaw(listener.port);
      socket.write("POST /gmq.v1.AdminService/ListTopics HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
      const answer = await readAll(socket);
      return answer.startsWith("HTTP/1.1 429") ? answer : undefined;
    });
    expect(text).toContain("\r\nretry-after: 1\r\n");
    expect(text).toContain("\r\n\r\ntoo many new connections from this address");
    expect(listener.refused.address).toBe(1);
    expect(log.lines.join("")).toMatch(/too many new connections of one address[\s\S]*127\.0\.0\.1/);
  });

  it("are told in HTTP/2 by GOAWAY, with why", async () => {
    const { url } = await start();
    const [code, lastStreamId, why] = await refusedOf(async () => {
      const session = connect(url);
      session.on("error", () => undefined);
      const goaway = once(session, "goaway") as Promise<[number, number, Buffer]>;
      const request = session.request({ ":path": "/" });
      request.on("error", () => undefined).resume();
      const answered = once(request, "response").then(
        () => undefined,
        () => goaway,
      );
      // Of a connection that was taken there is none.
      goaway.catch(() => undefined);
      const refusal = await Promise.race([answered, goaway]);
      session.destroy();
      return refusal;
    });
    expect([code, lastStreamId]).toEqual([11, 0]);
    expect(Buffer.from(why).toString()).toBe("too many new connections from this address in this second");
  });

  it("are a typed error to clients of GMQ, which may come again", async () => {
    const { url } = await start();
    const open = async (): Promise<GmqError | undefined> => {
      const connection = createFrameConnection({ url });
      cleanups.push(connection.close);
      const stream = connection.open(BrokerService.method.session);
      const ended = new Promise<GmqError | undefined>((resolve) =>
        stream.start({ frame: () => undefined, drain: () => undefined, end: resolve }),
      );
      stream.send(create(SessionRequestSchema, {}));
      return ended;
    };
    const typed = {
      code: "resource_exhausted",
      retryable: true,
      message: "the peer takes no more connections from this address for now",
    };
    expect(await refusedOf(open)).toMatchObject(typed);
    const call = async (): Promise<GmqError | undefined> => {
      const calls = createCallConnection({ url });
      cleanups.push(calls.close);
      return calls
        .client(AdminService)
        .listTopics({})
        .then(() => undefined, GmqError.from);
    };
    expect(await refusedOf(call)).toMatchObject(typed);
    await expect.poll(call).toBeUndefined();
  });

  it("are closed under TLS before their handshake, which is what costs", async () => {
    const authority = await createAuthority();
    const material = await authority.server();
    const tls = { material, requireClientCert: false, watch: () => undefined, close: () => undefined };
    const listener = await start({ tls });
    const error = await refusedOf(async () => {
      const socket = connectTls({ port: listener.port, host: "localhost", ca: authority.ca, ALPNProtocols: ["h2"] });
      cleanups.push(() => socket.destroy());
      return once(socket, "secureConnect").then(() => undefined, GmqError.from);
    });
    expect(error.message).toMatch(/disconnected|ECONNRESET|EPIPE/);
    expect(listener.refused.address).toBe(1);
  });

  it("are let go when they say nothing", async () => {
    const { port } = await start();
    const silent = await Promise.all(Array.from({ length: 5 }, () => connectRaw(port)));
    // Long before a connection that was taken is given up.
    await Promise.race([
      ...silent.map(readAll),
      new Promise((_, reject) => setTimeout(reject, 8_000, new Error("late"))),
    ]);
    for (const socket of silent) socket.destroy();
  });
});

it("counts an IPv6 network as one", () => {
  expect(countedAddress("192.0.2.7")).toBe("192.0.2.7");
  expect(countedAddress("::ffff:192.0.2.7")).toBe("192.0.2.7");
  expect(countedAddress("2001:db8:1:2:3:4:5:6")).toBe("2001:db8:1:2::/64");
  expect(countedAddress("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(countedAddress("2001:0DB8::0:1")).toBe("2001:db8:0:0::/64");
  expect(countedAddress("2001:db8:0:0::ffff")).toBe("2001:db8:0:0::/64");
  expect(countedAddress("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
  expect(countedAddress("")).toBe("");
});
