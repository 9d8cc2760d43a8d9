/**
 * docker/compose.tls.yaml as real processes: each service with the command and the variables that stand there, the files that its head asks for made by openssl and
 * `gmq token create`, names and ports as in the containers' network. What differs: where /run/gmq and /data are, and redis-server is the machine's.
 */
import { randomInt } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashPassword } from "@gmq/protocol/secrets";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { runProcess, startProcess, type TestProcess } from "./harness/child-process.js";
import { waitUntil } from "./harness/wait-until.js";
import { entries, root, temporaryFolder } from "./harness/workspace.js";

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly build?: { readonly args: { readonly APP: "storage" | "broker" | "admin"; readonly PORT: string } };
  readonly healthcheck?: { readonly test: readonly string[] };
}

const preload = fileURLToPath(new URL("./harness/container-network.ts", import.meta.url));
const redisPassword = "redis-s3cret";
const processes = new Map<string, TestProcess>();
const tokens: Record<string, { readonly token: string; readonly hash: string }> = {};
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let text: string;
let services: Readonly<Record<string, Service>>;
let hosts: Record<string, string>;

const secret = (name: string): string => join(folder.path, "secrets", name);

/** What a container has in place of this. */
function here(value: string, service: string): string {
  return value
    .replaceAll("/run/gmq", join(folder.path, "secrets"))
    .replaceAll(/^\/data$/g, join(folder.path, service))
    .replaceAll(/\$\{GMQ_REDIS_PASSWORD:\?[^}]*\}/g, redisPassword);
}

/** The variables of a process in the network of these containers. */
function networkOf(host: string): Record<string, string> {
  return {
    GMQ_TEST_HOSTS: JSON.stringify(hosts),
    GMQ_TEST_HOST: host,
    NODE_OPTIONS: `--import=${preload} --disable-warning=ExperimentalWarning`,
  };
}

async function openssl(...args: readonly string[]): Promise<void> {
  const { code, output } = await runProcess({ name: "openssl", command: "openssl", args });
  if (code !== 0) throw new Error(`openssl ${args.join(" ")}: ${output}`);
}

/** The command line beside the containers. */
function gmq(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return runProcess({
    name: `gmq ${args[0]}`,
    command: process.execPath,
    args: [entries.cli, ...args],
    env: { ...networkOf("127.0.0.1"), GMQ_CA: secret("ca.pem"), ...env },
  });
}

async function makeToken(name: string): Promise<void> {
  const { stdout } = await gmq(["token", "create"]);
  const [hash] = /sha256:\S+/.exec(stdout) ?? [];
  const [token] = stdout.split(/\s+/).filter((word) => /^gmq_/.test(word));
  if (hash === undefined || token === undefined) throw new Error(`no token in ${stdout}`);
  tokens[name] = { token, hash };
}

async function makeSecrets(): Promise<void> {
  await mkdir(join(folder.path, "secrets"));
  const key = (name: string) => [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    secret(name),
  ];
  await openssl("req", "-x509", ...key("ca-key.pem"), "-out", secret("ca.pem"), "-subj", "/CN=GMQ test", "-days", "2");
  const names = ["localhost", ...Object.keys(services)].map((name) => `DNS:${name}`).join(",");
  const signed = ["-CA", secret("ca.pem"), "-CAkey", secret("ca-key.pem"), "-addext", `subjectAltName=${names}`];
  const leaf = [...signed, "-addext", "basicConstraints=critical,CA:FALSE", "-subj", "/CN=gmq", "-days", "2"];
  await openssl("req", "-x509", ...key("key.pem"), "-out", secret("cert.pem"), ...leaf);
  for (const name of ["storage", "portal", "metrics", "shop"]) await makeToken(name);
  for (const name of ["storage", "portal", "metrics"])
    await writeFile(secret(`${name}-token`), `${tokens[name]?.token}\n`);
  const access = {
    roles: {
      shop: [{ topics: ["orders"], groups: ["shop"], allow: ["publish", "consume"] }],
      everything: [{ topics: ["*"], groups: ["*"], allow: ["publish", "consume", "admin"] }],
    },
    tokens: [
      { name: "shop", hash: tokens["shop"]?.hash, roles: ["shop"] },
      { name: "portal", hash: tokens["portal"]?.hash, roles: ["everything"] },
    ],
  };
  await writeFile(secret("access.yaml"), JSON.stringify(access));
  const users = [{ name: "ada", password: await hashPassword("correct horse battery"), role: "viewer" }];
  await writeFile(secret("portal.yaml"), JSON.stringify({ users }));
  const lines = [...text.matchAll(/^# +(user (?:default|gmq) .+)$/gm)].map(([, line]) =>
    line?.replace("PASSWORD", redisPassword),
  );
  expect(lines.length).toBe(2);
  await writeFile(secret("users.acl"), `${lines.join("\n")}\n`);
}

/** Starts a service as its container would, and waits until its health check says yes. */
async function start(name: string): Promise<void> {
  const { command, environment = {}, build, healthcheck } = services[name] as Service;
  const host = hosts[name] as string;
  await mkdir(join(folder.path, name));
  const values = Object.entries(environment).map(([key, value]) => [key, here(value, name)]);
  const env = { ...networkOf(host), ...Object.fromEntries(values) } as Record<string, string>;
  if (build === undefined) {
    const [, ...args] = command ?? [];
    const all = [...args.map((given) => here(given, name)), "--bind", host, "--dir", join(folder.path, name)];
    const server = process.env["GMQ_TEST_REDIS_SERVER"] ?? "redis-server";
    const started = startProcess({ name, command: server, args: all });
    processes.set(name, started);
    await started.waitForOutput(/Ready to accept connections/, 30_000);
    return;
  }
  const started = startProcess({
    name,
    command: process.execPath,
    args: [entries[build.args.APP]],
    env,
    cwd: join(folder.path, name),
  });
  processes.set(name, started);
  expect(healthcheck?.test).toEqual(["CMD", "node", "/healthcheck.mjs"]);
  await waitUntil(
    `${name} to be healthy`,
    async () => {
      const { code } = await runProcess({
        name: `health check of ${name}`,
        command: process.execPath,
        args: [join(root, "docker/healthcheck.mjs")],
        env: { ...env, GMQ_HEALTH_PORT: build.args.PORT },
      });
      return code === 0;
    },
    45_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${started.output()}`);
  });
}

beforeAll(async () => {
  folder = await temporaryFolder();
  text = await readFile(join(root, "docker/compose.tls.yaml"), "utf8");
  ({ services } = parse(text, { merge: true }) as { services: Record<string, Service> });
  // Addresses of loopback that only this run has: ports are those of the file.
  const network = `127.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  hosts = Object.fromEntries(Object.keys(services).map((name, index) => [name, `${network}.${index + 2}`]));
  await makeSecrets();
  for (const name of ["redis", "storage", "broker-1", "broker-2", "admin"]) await start(name);
}, 180_000);

afterAll(async () => {
  for (const one of [...processes.values()].toReversed()) await one.kill();
  await folder.remove();
});

describe("compose.tls.yaml", () => {
  it("starts every service that stands there", () => {
    expect([...processes.keys()].sort()).toEqual(Object.keys(services).sort());
    for (const [name, { output }] of [...processes].map(([key, value]) => [key, value] as const))
      expect([name, /UNSAFE/.test(output())]).toEqual([name, false]);
  });

  it("takes a record by one broker and gives it by the other, over TLS and with a token", async () => {
    const env = { GMQ_TOKEN: tokens["shop"]?.token ?? "" };
    const published = await gmq(["publish", "orders", "hello", "--broker", "https://broker-1:50051"], env);
    expect([published.code, published.output]).toEqual([0, expect.not.stringContaining("rror")]);
    const consume = ["consume", "orders", "--group", "shop", "--no-follow", "--broker", "https://broker-2:50051"];
    const consumed = await gmq(consume, env);
    expect([consumed.code, consumed.output]).toEqual([0, expect.stringContaining("hello")]);
  });

  it("lets nobody in without a token, without the authority, or into what a role does not have", async () => {
    const publish = (topic: string) => ["publish", topic, "x", "--broker", "https://broker-1:50051"];
    const nobody = await gmq(publish("orders"));
    expect(nobody.code).not.toBe(0);
    expect(nobody.output).toContain("unauthenticated");
    const token = { GMQ_TOKEN: tokens["shop"]?.token ?? "" };
    const elsewhere = await gmq(publish("bills"), token);
    expect(elsewhere.output).toContain("permission_denied");
    const untrusting = await gmq([...publish("orders"), "--timeout", "3000"], { ...token, GMQ_CA: "" });
    expect(untrusting.code).not.toBe(0);
  });
});
