import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { AdminService, BrokerService, StorageService } from "@gmq/protocol/messages";
import { createToken, hashToken } from "@gmq/protocol/secrets";
import {
  type Caller,
  createFrameConnection,
  createNodeTransport,
  createServiceClient,
  leanFrameHandler,
  peerConnectionKey,
} from "@gmq/transport";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certificateFolder, createAuthority } from "../../test/certificates.js";
import { captureLog } from "../../test/sockets.js";
import { createHealth, healthPages, healthRoutes } from "../health.js";
import { type Listener, listen } from "../listen.js";
import { openPort } from "../port-security.js";
import { type Access, openAccess } from "./access.js";
import { sharedTokenAccess } from "./shared-token.js";

let folder: Awaited<ReturnType<typeof certificateFolder>>;
let log: ReturnType<typeof captureLog>;
let access: Access | undefined;
let listener: Listener | undefined;
let callers: Caller[];
const token = createToken();

beforeEach(async () => {
  folder = await certificateFolder();
  log = captureLog();
  callers = [];
});
afterEach(async () => {
  await listener?.close({ drainMs: 0 });
  access?.close();
  listener = undefined;
  access = undefined;
  await folder.remove();
});

const roles = {
  writer: [{ topics: ["orders", "eu.*"], allow: ["publish"] }],
  all: [{ topics: ["*"], groups: ["*"], allow: ["publish", "consume", "admin"] }],
};
const tokens = [{ name: "shop", hash: hashToken(token), roles: ["writer"] }];

async function open(document: object): Promise<Access> {
  const path = await folder.write("access.yaml", JSON.stringify(document));
  access = openAccess("--access-file", path, 100, log.logger);
  return access;
}

async function start(authenticate: Access["authenticate"] | undefined, tls?: Parameters<typeof listen>[0]["tls"]) {
  const health = createHealth();
  health.report("start", undefined);
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    logger: log.logger,
    authenticate,
    tls,
    plainHttp: healthPages(health),
    routes(router) {
      router.service(AdminService, {
        listTopics(_request, { values }) {
          callers.push(values.get(peerConnectionKey).caller);
          return {};
        },
      });
      router.service(BrokerService, {});
      router.service(StorageService, {});
      healthRoutes(health, [])(router);
    },
    frameHandlers: [
      leanFrameHandler(BrokerService.method.session, (stream, { caller }) => {
        callers.push(caller);
        stream.start({ frame: () => undefined, drain: () => undefined, end: () => stream.close() });
        stream.close();
      }),
    ],
  });
  return listener;
}

function list(url: string, bearer?: string): Promise<unknown> {
  const node = createNodeTransport({ url, ...(bearer === undefined ? {} : { token: bearer }) });
  return createServiceClient(AdminService, node.transport).listTopics({}).finally(node.close);
}

describe("a port with access on", () => {
  it("refuses every method of every service without a token, a wrong one and garbage, whatever is in the body", async () => {
    await open({ roles, tokens });
    const { url } = await start(access?.authenticate);
    const methods = [AdminService, BrokerService, StorageService].flatMap((service) =>
      service.methods.map((method) => `/${service.typeName}/${method.name}`),
    );
    expect(methods.length).toBeGreaterThan(40);
    for (const path of methods) {
      for (const authorization of [undefined, "Bearer wrong", `Basic ${token}`, "Bearer a.b.c", `Bearer ${token} x`]) {
        const answer = await fetch(url + path, {
          method: "POST",
          headers: { "content-type": "application/json", ...(authorization === undefined ? {} : { authorization }) },
          // Would be refused as unreadable, were it looked at.
          body: "{ this is no JSON",
        });
        expect([path, answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
          path,
          401,
          "unauthenticated",
        ]);
      }
    }
    expect(callers).toEqual([]);
  });

  it("tells so in the words of each protocol, and lets health be asked", async () => {
    await open({ roles, tokens });
    const { url } = await start(access?.authenticate);
    for (const transport of [
      createGrpcTransport({ baseUrl: url }),
      createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl: url, httpVersion: "2" }),
    ]) {
      const refused = { rawMessage: "a token is needed", code: 16 };
      await expect(createClient(AdminService, transport).listTopics({})).rejects.toMatchObject(refused);
      const events = createClient(BrokerService, transport).consume({ group: "g" })[Symbol.asyncIterator]();
      await expect(events.next()).rejects.toMatchObject(refused);
    }
    await expect(list(url)).rejects.toMatchObject({ code: "unauthenticated", field: "authorization" });
    const connection = createFrameConnection({ url });
    const stream = connection.open(BrokerService.method.session);
    const ended = new Promise((resolve) =>
      stream.start({ frame: () => undefined, drain: () => undefined, end: resolve }),
    );
    expect(await ended).toMatchObject({ code: "unauthenticated" });
    connection.close();
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const health = await fetch(`${url}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(await health.json()).toEqual({ status: "SERVING" });
  });

  it("knows a caller by its token, on calls and sessions, and what its roles allow", async () => {
    await open({ roles, tokens });
    const { url } = await start(access?.authenticate);
    await list(url, token);
    const connection = createFrameConnection({ url, token: () => token });
    const stream = connection.open(BrokerService.method.session);
    const ended = new Promise((resolve) =>
      stream.start({ frame: () => undefined, drain: () => undefined, end: resolve }),
    );
    expect(await ended).toBeUndefined();
    connection.close();
    expect(callers.map(({ name }) => name)).toEqual(["shop", "shop"]);
    const caller = callers[0] as Caller;
    const asked = ["orders", "orders2", "eu.a", "eu.a.b", "eu", "xeu.a", ""].map((topic) =>
      caller.mayTopic("publish", topic),
    );
    expect(asked).toEqual([true, false, true, true, false, false, false]);
    expect([
      caller.mayTopic("consume", "orders"),
      caller.mayTopic("admin", "orders"),
      caller.mayGroup("consume", "g"),
    ]).toEqual([false, false, false]);
  });

  it("takes a new file at once, also for callers that are in; a wrong one changes nothing", async () => {
    await open({ roles, tokens });
    const { url } = await start(access?.authenticate);
    await list(url, token);
    const caller = callers[0] as Caller;
    await folder.write("access.yaml", "roles: [");
    await expect.poll(() => log.lines.join("")).toContain("the old one stays");
    expect(caller.problem()).toBeUndefined();
    await folder.write("access.yaml", JSON.stringify({ roles, tokens: [{ ...tokens[0], roles: ["all"] }] }));
    await expect.poll(() => caller.mayTopic("admin", "x")).toBe(true);
    expect(caller.version).toBe(2);
    await folder.write("access.yaml", JSON.stringify({ roles, tokens: [] }));
    await expect.poll(() => caller.problem()?.code).toBe("unauthenticated");
    expect(caller.mayTopic("admin", "x")).toBe(false);
    await expect(list(url, token)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("refuses a token past its time", async () => {
    const past = new Date(Date.now() - 1_000).toISOString();
    await open({ roles, tokens: [{ ...tokens[0], expires: past }] });
    const { url } = await start(access?.authenticate);
    await expect(list(url, token)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  it("knows a caller by its client certificate", async () => {
    const authority = await createAuthority();
    const server = await authority.server();
    const config = {
      tlsCert: await folder.write("cert.pem", server.cert),
      tlsKey: await folder.write("key.pem", server.key),
      tlsClientCa: await folder.write("ca.pem", authority.ca),
    };
    const port = openPort("the test", "127.0.0.1:0", config, undefined, log.logger);
    await open({ roles, certificates: [{ name: "shop-1", roles: ["writer"] }] });
    const { url } = await start(access?.authenticate, port.tls);
    const call = async (name: string): Promise<unknown> => {
      const tls = { ca: authority.ca, ...(await authority.client(name)) };
      const node = createNodeTransport({ url, tls });
      return createServiceClient(AdminService, node.transport).listTopics({}).finally(node.close);
    };
    await call("shop-1");
    expect(callers.map(({ name }) => name)).toEqual(["shop-1"]);
    await expect(call("shop-2")).rejects.toMatchObject({ code: "unauthenticated" });
    // Vouched for by somebody else: the handshake goes on, as certificates are optional here, and the name counts for nothing.
    const stranger = await createAuthority("somebody else");
    const node = createNodeTransport({ url, tls: { ca: authority.ca, ...(await stranger.client("shop-1")) } });
    await expect(createServiceClient(AdminService, node.transport).listTopics({})).rejects.toMatchObject({
      code: "unauthenticated",
    });
    node.close();
    port.close();
  });
});

describe("JWT", () => {
  let keys: Server;
  let fetches: number;
  afterEach(() => new Promise((resolve) => keys.close(resolve)));

  it("is taken from its issuer for its audience, signed with a published key, while it lasts, and from nobody else", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const other = await generateKeyPair("ES256");
    fetches = 0;
    const jwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: "ES256", use: "sig" };
    keys = createServer((_request, response) => {
      fetches++;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => keys.listen(0, "127.0.0.1", resolve));
    const jwksUrl = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/jwks`;
    await open({ roles, jwt: { jwksUrl, issuer: "https://id.example", audience: "gmq", rolesClaim: "realm.roles" } });
    const { url } = await start(access?.authenticate);
    const sign = (claims: object, { key = privateKey, kid = "k1", exp = "10m" as string | number } = {}) =>
      new SignJWT({
        sub: "ada",
        realm: { roles: ["writer", "unknown"] },
        iss: "https://id.example",
        aud: "gmq",
        ...claims,
      })
        .setProtectedHeader({ alg: "ES256", kid })
        .setExpirationTime(exp)
        .sign(key);
    const good = await sign({});
    await list(url, good);
    await list(url, good);
    expect(callers.map(({ name }) => name)).toEqual(["ada", "ada"]);
    expect(callers[1]).toBe(callers[0]);
    expect([callers[0]?.mayTopic("publish", "orders"), callers[0]?.mayTopic("consume", "orders")]).toEqual([
      true,
      false,
    ]);
    const [header = "", payload = "", signature = ""] = good.split(".");
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const bad = [
      await sign({ iss: "https://evil.example" }),
      await sign({ aud: "other" }),
      await sign({}, { exp: Math.floor(Date.now() / 1_000) - 120 }),
      await sign({ nbf: Math.floor(Date.now() / 1_000) + 600 }),
      await sign({}, { key: other.privateKey }),
      await sign({}, { kid: "../../etc/passwd" }),
      await sign({ sub: "" }),
      `${encode({ alg: "none" })}.${payload}.`,
      `${encode({ alg: "none", kid: "k1" })}.${payload}.${signature}`,
      `${encode({ alg: "HS256", kid: "k1" })}.${payload}.${signature}`,
      `${header}.${encode({ sub: "root", realm: { roles: ["all"] }, iss: "https://id.example", aud: "gmq", exp: 9_999_999_999 })}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      "a.b.c",
    ];
    for (const [index, jwt] of bad.entries()) {
      await expect(list(url, jwt), `token ${index}`).rejects.toMatchObject({ code: "unauthenticated" });
    }
    // A key that nobody knows makes it look again, though not each time.
    expect(fetches).toBeLessThan(4);
    expect(log.lines.join("")).not.toContain(payload);
  });

  it("is unavailable, not refused, while the keys cannot be had", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    keys = createServer((_request, response) => {
      response.statusCode = 500;
      response.end();
    });
    await new Promise<void>((resolve) => keys.listen(0, "127.0.0.1", resolve));
    const jwksUrl = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/jwks`;
    await open({ roles, jwt: { jwksUrl, issuer: "i", audience: "a" } });
    const { url } = await start(access?.authenticate);
    const jwt = await new SignJWT({ sub: "ada", iss: "i", aud: "a" })
      .setProtectedHeader({ alg: "ES256", kid: "k" })
      .setExpirationTime("1m")
      .sign(privateKey);
    await expect(list(url, jwt)).rejects.toMatchObject({ code: "unavailable", retryable: true });
  });
});

describe("a wrong access file", () => {
  it.each<[string, string, RegExp]>([
    ["no YAML", "roles: [", /it is no YAML: line \d+/],
    ["an unknown key", "roles: {}\nuser: 1", /Unrecognized key: "user"/],
    [
      "an unknown role",
      `roles: {}\ntokens: [{name: a, hash: "${hashToken("x")}", roles: [b]}]`,
      /tokens\.0\.roles: there is no role b/,
    ],
    [
      "a token in the clear",
      "roles: {}\ntokens: [{name: a, hash: gmq_secret, roles: []}]",
      /tokens\.0\.hash: expected sha256/,
    ],
    ["an unknown action", "roles: {a: [{topics: [x], allow: [write]}]}", /roles\.a\.0\.allow\.0/],
    ["a wrong pattern", "roles: {a: [{topics: ['a b'], allow: [publish]}]}", /roles\.a\.0\.topics\.0: expected a name/],
    [
      "keys in the clear",
      "roles: {}\njwt: {jwksUrl: 'http://id.example/keys', issuer: a, audience: b}",
      /jwt\.jwksUrl: expected https/,
    ],
    [
      "keys in the clear",
      "roles: {}\njwt: {jwksUrl: 'http://127.evil.example/keys', issuer: a, audience: b}",
      /jwt\.jwksUrl: expected https/,
    ],
    [
      "keys in the clear",
      "roles: {}\njwt: {jwksUrl: 'id.example', issuer: a, audience: b}",
      /jwt\.jwksUrl: expected https/,
    ],
    [
      "a token twice",
      `roles: {}\ntokens: [{name: a, hash: "${hashToken("x")}", roles: []}, {name: a, hash: "${hashToken("y")}", roles: []}]`,
      /a is there twice/,
    ],
  ])("is named with the place: %s", async (_name, text, message) => {
    const path = await folder.write("wrong.yaml", text);
    const open = () => openAccess("--access-file", path, 1_000, log.logger).close();
    expect(open).toThrow(message);
    expect(open).toThrow(/--access-file .*wrong\.yaml/);
    expect(open).not.toThrow(/gmq_secret/);
  });
});

describe("a port for services", () => {
  it("lets in who knows the token, and follows it when it is renewed", async () => {
    let now = "first";
    const { url } = await start(sharedTokenAccess(() => now, false));
    await list(url, "first");
    await expect(list(url)).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(list(url, "second")).rejects.toMatchObject({ code: "unauthenticated" });
    now = "second";
    await list(url, "second");
    await expect(list(url, "first")).rejects.toMatchObject({ code: "unauthenticated" });
  });
});
