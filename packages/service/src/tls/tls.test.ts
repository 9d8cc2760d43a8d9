import { once } from "node:events";
import { rename } from "node:fs/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { GmqError } from "@gmq/protocol";
import { AdminService, BrokerService, SessionRequestSchema } from "@gmq/protocol/messages";
import { createFrameConnection, leanFrameHandler, type TlsClientOptions } from "@gmq/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certificateFolder, createAuthority, type Issued, type TestAuthority } from "../../test/certificates.js";
import { captureLog, connectRaw, openHandles, readAll } from "../../test/sockets.js";
import { type Listener, type ListenLimits, listen } from "../listen.js";
import { openPort, type PortConfig } from "../port-security.js";

let folder: Awaited<ReturnType<typeof certificateFolder>>;
let authority: TestAuthority;
let server: Issued;
let log: ReturnType<typeof captureLog>;
let listener: Listener | undefined;
let closeSecurity: (() => void) | undefined;

beforeEach(async () => {
  folder = await certificateFolder();
  authority = await createAuthority();
  server = await authority.server();
  log = captureLog();
  await folder.write("cert.pem", server.cert);
  await folder.write("key.pem", server.key);
  await folder.write("ca.pem", authority.ca);
});
afterEach(async () => {
  await listener?.close({ drainMs: 0 });
  closeSecurity?.();
  listener = undefined;
  closeSecurity = undefined;
  await folder.remove();
});

function config(more: PortConfig = {}): PortConfig {
  return { tlsCert: folder.path("cert.pem"), tlsKey: folder.path("key.pem"), reloadMs: 100, ...more };
}

async function start(more: PortConfig = {}, limits: ListenLimits = {}): Promise<Listener> {
  const { tls, close } = openPort("the test", "127.0.0.1:0", config(more), undefined, log.logger);
  closeSecurity = close;
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    logger: log.logger,
    tls,
    limits,
    routes: (router) => router.service(AdminService, { listTopics: () => ({ topics: [{ name: "orders" }] }) }),
    frameHandlers: [
      leanFrameHandler(BrokerService.method.session, (stream) =>
        stream.start({ frame: () => stream.close(), drain: () => undefined, end: () => undefined }),
      ),
    ],
  });
  return listener;
}

async function topicsOver(transport: Transport): Promise<string[]> {
  return (await createClient(AdminService, transport).listTopics({})).topics.map(({ name }) => name);
}

/** Opens a session over the lean transport; resolves with how it ended. */
function session(url: string, tls: TlsClientOptions): Promise<GmqError | undefined> {
  const connection = createFrameConnection({ url, tls });
  const stream = connection.open(BrokerService.method.session);
  const ended = new Promise<GmqError | undefined>((resolve) =>
    stream.start({ frame: () => undefined, drain: () => undefined, end: resolve }),
  );
  stream.send(create(SessionRequestSchema, { correlationId: 1 }));
  return ended.finally(() => connection.close());
}

describe("one port under TLS", () => {
  it("speaks gRPC, Connect on both HTTP versions and frame streams, chosen by ALPN", async () => {
    const { url } = await start();
    expect(url).toMatch(/^https:/);
    const nodeOptions = { ca: authority.ca };
    expect(await topicsOver(createGrpcTransport({ baseUrl: url, nodeOptions }))).toEqual(["orders"]);
    for (const httpVersion of ["1.1", "2"] as const) {
      expect(await topicsOver(createConnectTransport({ baseUrl: url, httpVersion, nodeOptions }))).toEqual(["orders"]);
    }
    expect(await session(url, nodeOptions)).toBeUndefined();
  });

  it("is refused by a client that does not trust its authority, and refuses TLS 1.1 and plain bytes", async () => {
    const { url, port } = await start();
    const stranger = await createAuthority("somebody else");
    expect(await session(url, { ca: stranger.ca })).toMatchObject({ code: "unavailable" });
    const old = connectTls({
      port,
      ca: authority.ca,
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    });
    await expect(once(old, "secureConnect")).rejects.toThrow();
    const plain = await connectRaw(port);
    plain.write("GET /hello HTTP/1.1\r\nhost: h\r\n\r\n");
    expect(await readAll(plain)).not.toContain("HTTP/1.1 200");
  });

  it("asks for a client certificate where it must: none, and one of another authority, are refused", async () => {
    const { url } = await start({ tlsClientCa: folder.path("ca.pem"), tlsRequireClientCert: true });
    const { ca } = authority;
    expect(await session(url, { ca })).toMatchObject({ code: "unavailable" });
    const stranger = await (await createAuthority("somebody else")).client("eve");
    expect(await session(url, { ca, ...stranger })).toMatchObject({ code: "unavailable" });
    expect(await session(url, { ca, ...(await authority.client("broker")) })).toBeUndefined();
  });

  it("cuts a handshake that takes too long, and lets go of it when the port closes", async () => {
    const { port } = await start({}, { firstBytesTimeoutMs: 100 });
    expect(await readAll(await connectRaw(port))).toBe("");
    await listener?.close({ drainMs: 0 });
    closeSecurity?.();
    const slow = await start({}, { firstBytesTimeoutMs: 60_000 });
    const stuck = await connectRaw(slow.port);
    const ended = readAll(stuck);
    await slow.close({ drainMs: 50 });
    await ended;
    await expect.poll(() => openHandles()).toEqual([]);
  });
});

describe("new certificates", () => {
  async function shown(port: number): Promise<string> {
    const socket: TLSSocket = connectTls({ port, host: "127.0.0.1", ca: authority.ca, ALPNProtocols: ["h2"] });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  }

  it("are shown to new connections without a restart; a bad set is logged once and the old one stays", async () => {
    const { port, url } = await start();
    const before = await shown(port);
    await folder.write("cert.pem", "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n");
    await expect.poll(() => log.lines.join("")).toContain("the old ones stay");
    expect(await shown(port)).toBe(before);
    const next = await authority.server();
    await folder.write("next-key.pem", next.key);
    await folder.write("next-cert.pem", next.cert);
    await rename(folder.path("next-key.pem"), folder.path("key.pem"));
    await rename(folder.path("next-cert.pem"), folder.path("cert.pem"));
    await expect.poll(() => shown(port)).not.toBe(before);
    expect(await session(url, { ca: authority.ca })).toBeUndefined();
    expect(log.lines.join("")).not.toContain("PRIVATE KEY");
  });

  it("still speak TLS 1.2 or later and still ask for client certificates", async () => {
    const { url, port } = await start({ tlsClientCa: folder.path("ca.pem"), tlsRequireClientCert: true });
    const other = await createAuthority("the next authority");
    await folder.write("ca.pem", authority.ca + other.ca);
    await expect.poll(() => log.lines.join("")).toContain("were read again");
    const { ca } = authority;
    expect(await session(url, { ca })).toMatchObject({ code: "unavailable" });
    expect(await session(url, { ca, ...(await other.client("broker 2")) })).toBeUndefined();
    const old = connectTls({ port, ca, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    await expect(once(old, "secureConnect")).rejects.toThrow();
  });
});

describe("a wrong file", () => {
  const open = (more: PortConfig) => () =>
    openPort("the test", "127.0.0.1:0", config(more), undefined, log.logger).close();

  it("is named with what was expected, and all of them at once", async () => {
    const other = await authority.server();
    const old = await authority.server({ daysFrom: -3, daysTo: -1 });
    const cases: [PortConfig, RegExp][] = [
      [
        { tlsCert: folder.path("none.pem") },
        /--tls-cert .*none\.pem: there is no such file; expected a certificate chain/,
      ],
      [{ tlsCert: await folder.write("empty.pem", "") }, /--tls-cert .*empty\.pem: there is no certificate in it/],
      [
        { tlsCert: await folder.write("old.pem", old.cert) },
        /--tls-cert .*old\.pem: the certificate CN=localhost ran out on/,
      ],
      [
        { tlsKey: await folder.write("other.pem", other.key) },
        /--tls-key .*other\.pem: it is the key of another certificate/,
      ],
      [
        { tlsKey: await folder.write("junk.pem", "secret junk") },
        /--tls-key .*junk\.pem: it cannot be read as a private key/,
      ],
      [{ tlsClientCa: folder.path("cert.pem") }, /--tls-client-ca .*cert\.pem: CN=localhost is no authority/],
      [{ tlsKey: undefined }, /--tls-key is missing/],
      [{ tlsCert: undefined }, /--tls-cert is missing/],
      [{ tlsRequireClientCert: true }, /no authority of them is named/],
      [{ tlsCert: folder.path("a"), tlsClientCa: folder.path("b") }, /--tls-cert .*; --tls-client-ca .*/],
    ];
    for (const [more, text] of cases) {
      expect(open(more)).toThrow(text);
      expect(open(more)).toThrow(
        expect.objectContaining({ code: "invalid_argument", field: expect.stringMatching(/^--tls/) }),
      );
    }
    expect(open({ tlsKey: folder.path("junk.pem") })).not.toThrow(/secret junk/);
  });

  it("warns of an open port off loopback, and refuses it where that is asked for", () => {
    const at = (address: string, more: PortConfig, authenticate?: () => never) =>
      openPort("the portal", address, more, authenticate, log.logger).close();
    at("127.0.0.1:80", {});
    at("[::1]:80", { refuseUnsafe: true });
    expect(log.lines).toEqual([]);
    at(":80", {});
    expect(log.lines.join("")).toContain("UNSAFE: the portal lets everybody in who reaches 0.0.0.0:80");
    expect(() => at(":80", { refuseUnsafe: true })).toThrow(/unsafe: the portal lets everybody in/);
    const access = () => {
      throw new GmqError("unauthenticated", "no");
    };
    expect(() => at(":80", { refuseUnsafe: true }, access)).toThrow(/takes tokens in the clear/);
    expect(() => at(":80", { ...config(), refuseUnsafe: true }, access)).toThrow(/shows \/metrics .* to everybody/);
    at(":80", { ...config({ metricsToken: "token" }), refuseUnsafe: true }, access);
    at(
      ":80",
      { ...config({ tlsClientCa: folder.path("ca.pem"), tlsRequireClientCert: true }), refuseUnsafe: true },
      access,
    );
    at(":80", { ...config({ tlsClientCa: folder.path("ca.pem"), tlsRequireClientCert: true }), refuseUnsafe: true });
    expect(() => at(":80", { ...config(), refuseUnsafe: true })).toThrow(/lets everybody in/);
  });
});
