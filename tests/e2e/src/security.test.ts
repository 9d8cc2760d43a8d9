/** Real processes with everything on. */
import { X509Certificate } from "node:crypto";
import { rename } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { connect } from "@gmq/client";
import { StorageService } from "@gmq/protocol/messages";
import { createToken, hashToken } from "@gmq/protocol/secrets";
import { createNodeTransport, createServiceClient } from "@gmq/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProcess } from "./harness/child-process.ts";
import { type SecuredGmq, startSecured } from "./harness/secured.ts";
import { waitUntil } from "./harness/wait-until.ts";
import { entries, root } from "./harness/workspace.ts";

let gmq: SecuredGmq;
beforeAll(async () => {
  gmq = await startSecured();
});
afterAll(() => gmq?.stop());

function client(token: string | (() => string) = gmq.secrets.shop) {
  return connect({
    brokers: [gmq.brokerUrl],
    tls: { ca: gmq.authority.ca },
    auth: { token: typeof token === "function" ? token : () => token },
    timeoutMs: 20_000,
  });
}

function cli(
  args: readonly string[],
  options: { readonly env?: Record<string, string>; readonly input?: string } = {},
) {
  return runProcess({
    name: "gmq",
    command: process.execPath,
    args: [entries.cli, ...args],
    env: options.env ?? {},
    ...(options.input === undefined ? {} : { input: options.input }),
  });
}

function status(url: string, token?: string): Promise<number> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new Promise((resolve, reject) => {
    const request = get(url, { ca: gmq.authority.ca, agent: false, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.on("error", reject);
  });
}

describe("metrics", () => {
  it("are for who says their token, which is renewed without a restart; health is for everybody", async () => {
    const next = createToken();
    for (const url of [gmq.brokerUrl, gmq.adminUrl]) {
      for (const path of ["/metrics", "/metrics?name=x"]) {
        expect([path, await status(url + path)]).toEqual([path, 401]);
        expect([path, await status(url + path, gmq.secrets.shop)]).toEqual([path, 401]);
        expect([path, await status(url + path, gmq.secrets.metrics)]).toEqual([path, 200]);
      }
      expect(await status(`${url}/healthz`)).toBe(200);
      await expect.poll(() => status(`${url}/readyz`)).toBe(200);
    }
    await gmq.write("metrics-token", next);
    await expect.poll(() => status(`${gmq.brokerUrl}/metrics`, next)).toBe(200);
    expect(await status(`${gmq.brokerUrl}/metrics`, gmq.secrets.metrics)).toBe(401);
    await gmq.write("metrics-token", gmq.secrets.metrics);
    await expect.poll(() => status(`${gmq.brokerUrl}/metrics`, gmq.secrets.metrics)).toBe(200);
  });
});

describe("a client", () => {
  it("publishes and consumes over TLS with its token, what it may", async () => {
    const own = await client();
    const producer = own.producer();
    const { partition } = await producer.send("orders", { key: "k", value: "v1" });
    expect(partition).toBeGreaterThanOrEqual(0);
    await expect(producer.send("invoices", { value: "v" })).rejects.toMatchObject({
      code: "permission_denied",
      field: "topic",
    });
    const seen: string[] = [];
    const subscription = own.subscribe(
      "orders",
      { group: "shop" },
      (message) => void seen.push(new TextDecoder().decode(message.value)),
    );
    await expect.poll(() => seen).toEqual(["v1"]);
    await subscription.drain();
    expect((await own.admin.listTopics()).map(({ name }) => name)).toEqual(["orders"]);
    await expect(own.admin.deleteTopic("orders")).rejects.toMatchObject({ code: "permission_denied" });
    await own.close();
  });

  it("is told why it is not let in: no token, a wrong one, a certificate that it does not trust, plain HTTP", async () => {
    await expect(client("wrong")).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(connect({ brokers: [gmq.brokerUrl], tls: { ca: gmq.authority.ca } })).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await expect(connect({ brokers: [gmq.brokerUrl], timeoutMs: 3_000 })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/certificate/),
    });
    await expect(
      connect({ brokers: [gmq.brokerUrl.replace("https", "http")], timeoutMs: 3_000 }),
    ).rejects.toMatchObject({ code: "unavailable" });
    await expect(connect({ brokers: [gmq.brokerUrl], tls: { ca: "no certificate" } })).rejects.toMatchObject({
      code: "invalid_argument",
      field: "tls.ca",
    });
  });

  it("comes back with a new token when the old one is taken back, and loses nothing", async () => {
    const [first, second] = [createToken(), createToken()];
    const document = (token: string) =>
      JSON.stringify({
        roles: { shop: [{ topics: ["*"], groups: ["*"], allow: ["publish", "consume", "admin"] }] },
        tokens: [
          { name: "portal", hash: hashToken(gmq.secrets.portal), roles: ["shop"] },
          { name: "shop", hash: hashToken(gmq.secrets.shop), roles: ["shop"] },
          { name: "renewed", hash: hashToken(token), roles: ["shop"] },
        ],
      });
    await gmq.write("access.yaml", document(first));
    let token = first;
    const own = await waitUntil("the new file counts", () => client(() => token));
    const producer = own.producer();
    await producer.send("orders.renewed", { value: "0" });
    const asked: string[] = [];
    token = second;
    await gmq.write("access.yaml", document(second));
    for (let turn = 1; turn <= 40; turn++) {
      await producer.send("orders.renewed", { value: String(turn) });
      asked.push(String(turn));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // The first token is no longer good for anything: what was sent since went by the second.
    await expect(client(first)).rejects.toMatchObject({ code: "unauthenticated" });
    const seen: string[] = [];
    const subscription = own.subscribe(
      "orders.renewed",
      { group: "shop.renewed" },
      (message) => void seen.push(new TextDecoder().decode(message.value)),
    );
    await expect.poll(() => seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(["0", ...asked]);
    await subscription.drain();
    await own.close();
  });
});

describe("new certificates", () => {
  it("come in at each port under traffic without a failed call", async () => {
    const own = await client();
    const producer = own.producer();
    const shownAt = (url: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port: Number(new URL(url).port), host: "localhost", ca: gmq.authority.ca }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.once("error", reject);
      });
    const shown = () => Promise.all([gmq.brokerUrl, gmq.storageUrl, gmq.adminUrl].map(shownAt));
    const before = await shown();
    expect(new Set(before).size).toBe(1);
    const next = await gmq.authority.server();
    await gmq.write("next-cert.pem", next.cert);
    await gmq.write("next-key.pem", next.key);
    let going = true;
    let sent = 0;
    const traffic = (async () => {
      while (going) {
        await producer.send("orders", { value: String(sent++) });
        const late = await client();
        await late.close();
      }
    })();
    await rename(gmq.path("next-cert.pem"), gmq.path("cert.pem"));
    await rename(gmq.path("next-key.pem"), gmq.path("key.pem"));
    const serial = new X509Certificate(next.cert).serialNumber;
    await expect.poll(shown).toEqual([serial, serial, serial]);
    going = false;
    await traffic;
    expect(sent).toBeGreaterThan(0);
    await own.close();
  });
});

describe("the storage port", () => {
  it("refuses who has a certificate and not the token, and who has the token and no certificate", async () => {
    const certificate = await gmq.authority.client("somebody");
    const call = (tls: object, token?: string): Promise<unknown> => {
      const node = createNodeTransport({ url: gmq.storageUrl, tls, ...(token === undefined ? {} : { token }) });
      return createServiceClient(StorageService, node.transport).listTopics({}).finally(node.close);
    };
    const { ca } = gmq.authority;
    await call({ ca, ...certificate }, gmq.secrets.storage);
    await expect(call({ ca, ...certificate })).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(call({ ca, ...certificate }, gmq.secrets.shop)).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(call({ ca }, gmq.secrets.storage)).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("gmq", () => {
  it("calls over TLS with a token from flag, file or environment", async () => {
    const where = ["--broker", gmq.brokerUrl, "--ca", gmq.path("ca.pem")];
    const token = await gmq.write("shop-token", `${gmq.secrets.shop}\n`);
    const publish = await cli(["publish", "orders", "hello", "--key", "k1", ...where, "--token-file", token]);
    expect(publish).toMatchObject({ code: 0 });
    const env = { GMQ_TOKEN: gmq.secrets.shop, GMQ_CA: gmq.path("ca.pem"), GMQ_BROKERS: gmq.brokerUrl };
    expect(await cli(["status"], { env })).toMatchObject({ code: 0 });
    const refused = await cli(["topics", "list", ...where]);
    expect(refused).toMatchObject({ code: 1, output: expect.stringContaining("unauthenticated") });
    const missing = await cli(["topics", "list", "--ca", gmq.path("none.pem")]);
    expect(missing).toMatchObject({
      code: 1,
      output: expect.stringMatching(/--ca .*none\.pem: there is no such file; expected certificates/),
    });
    expect(await cli(["topics", "list", "--cert", gmq.path("cert.pem")])).toMatchObject({
      output: expect.stringContaining("--cert-key is missing"),
    });
  });

  it("makes tokens and hashes that access files take", async () => {
    const made = JSON.parse((await cli(["token", "create", "--json"])).stdout) as { token: string; hash: string };
    expect(made.token).toMatch(/^gmq_[\w-]{43}$/);
    expect(JSON.parse((await cli(["token", "hash", "--json"], { input: `${made.token}\n` })).stdout)).toEqual({
      hash: made.hash,
    });
    expect(hashToken(made.token)).toBe(made.hash);
    expect((await cli(["token", "password"], { input: "correct horse\n" })).stdout).toMatch(/scrypt:32768:8:1:/);
    expect(await cli(["token", "password"], { input: "short" })).toMatchObject({
      code: 1,
      output: expect.stringContaining("8 to 1024 characters"),
    });
    expect(await cli(["token", "hash"], { input: "" })).toMatchObject({ code: 1 });
  });
});

describe("settings", () => {
  const broker = (args: readonly string[]) =>
    runProcess({ name: "broker", command: process.execPath, args: [entries.broker, "--addr", "127.0.0.1:0", ...args] });

  it("that are wrong end the start with one line that names file and flag, before anything listens", async () => {
    for (const [args, text] of [
      [
        ["--tls-cert", gmq.path("none.pem"), "--tls-key", gmq.path("key.pem")],
        /--tls-cert .*none\.pem: there is no such file/,
      ],
      [["--access-file", gmq.path("cert.pem")], /--access-file .*cert\.pem/],
      [["--storage-ca", gmq.path("key.pem")], /--storage-ca .*key\.pem: there is no certificate in it/],
      [["--storage-token-file", gmq.path("none")], /--storage-token-file .*none: there is no such file/],
      [["--addr", ":0", "--refuse-unsafe", "yes"], /unsafe: the broker lets everybody in/],
      [
        ["--storage", "http://198.51.100.7:50052", "--storage-token", "t", "--refuse-unsafe", "yes"],
        /unsafe: the broker says its storage token in the clear to 198\.51\.100\.7:50052: name the storage services by https/,
      ],
    ] as const) {
      const { code, output } = await broker(args);
      expect(code).toBe(1);
      expect(output).toMatch(text);
      expect(output).not.toContain("broker listens");
    }
  });

  it("that send a token to another machine in the clear are unsafe at the portal as well", async () => {
    const args = ["--addr", "127.0.0.1:0", "--brokers", "http://198.51.100.7:50051", "--broker-token", "t0ken-of-test"];
    const admin = {
      name: "admin",
      command: process.execPath,
      args: [entries.admin, ...args, "--refuse-unsafe", "yes"],
    };
    const { code, output } = await runProcess(admin);
    expect(code).toBe(1);
    expect(output).toMatch(/unsafe: the portal says its token in the clear to 198\.51\.100\.7:50051/);
    expect(output).not.toContain("t0ken-of-test");
  });
});

describe("containers", () => {
  it("ask for the health of a port under TLS, with or without client certificates", async () => {
    const check = (url: string, env: Record<string, string> = {}) =>
      runProcess({
        name: "healthcheck",
        command: process.execPath,
        args: [join(root, "docker/healthcheck.mjs")],
        env: { GMQ_HEALTH_PORT: new URL(url).port, GMQ_HEALTH_PATH: "/readyz", ...env },
      });
    const server = { GMQ_TLS_CERT: gmq.path("cert.pem"), GMQ_TLS_KEY: gmq.path("key.pem") };
    const client = { GMQ_TLS_CERT: gmq.path("client-cert.pem"), GMQ_TLS_KEY: gmq.path("client-key.pem") };
    expect(await check(gmq.brokerUrl, server)).toMatchObject({ code: 0 });
    expect(await check(gmq.storageUrl, client)).toMatchObject({ code: 0 });
    expect(await check(gmq.brokerUrl)).toMatchObject({ code: 1 });
  });
});

describe("logs", () => {
  it("hold no secret, at debug level, after all of this", () => {
    const output = gmq.output();
    expect(output).toContain('"level":"debug"');
    expect(output).not.toContain("UNSAFE");
    // The documented rights are enough, to listen for signals as well.
    expect(output).not.toContain("lets nobody listen");
    for (const [name, secret] of Object.entries(gmq.secrets))
      expect([name, output.includes(secret)]).toEqual([name, false]);
    expect(output).not.toMatch(/BEGIN [A-Z ]*PRIVATE KEY|scrypt:\d/);
  });
});
