/** A GMQ with everything on: TLS on every port, client certificates between the services, tokens, Redis over TLS with an ACL user. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createToken, hashPassword, hashToken } from "@gmq/protocol/secrets";
import { createAuthority, type TestAuthority } from "../../../../packages/service/test/certificates.ts";
import { startProcess, type TestProcess } from "./child-process.ts";
import { entries, freePort, temporaryFolder } from "./workspace.ts";

/** What the test has to know of it. */
export interface SecuredGmq {
  readonly authority: TestAuthority;
  readonly brokerUrl: string;
  readonly storageUrl: string;
  readonly adminUrl: string;
  /** Everything that no log may hold. */
  readonly secrets: Readonly<Record<"storage" | "portal" | "metrics" | "shop" | "redis" | "password", string>>;
  readonly parts: Readonly<Record<"redis" | "storage" | "broker" | "admin", TestProcess>>;
  /** Path of a file in its folder. */
  path(name: string): string;
  write(name: string, text: string): Promise<string>;
  /** All that its processes wrote. */
  output(): string;
  stop(): Promise<void>;
}

/** Rights of the storage service in Redis, as docs/security.md says them. */
export const redisAcl = ["~gmq:*", "&gmq:signal:*", "+@all", "-@admin", "-@dangerous", "+info"];

/** Starts it; every process logs at debug. */
export async function startSecured(): Promise<SecuredGmq> {
  const folder = await temporaryFolder();
  const path = (name: string): string => join(folder.path, name);
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(path(name), text);
    return path(name);
  };
  const authority = await createAuthority();
  const secrets = {
    storage: createToken(),
    portal: createToken(),
    metrics: createToken(),
    shop: createToken(),
    redis: "redis-s3cret",
    password: "correct horse battery",
  };
  const processes: TestProcess[] = [];
  const start = async (name: string, command: string, args: readonly string[], ready: RegExp): Promise<TestProcess> => {
    const started = startProcess({ name, command, args, env: { GMQ_LOG_LEVEL: "debug" } });
    processes.push(started);
    await started.waitForOutput(ready, 30_000);
    return started;
  };
  const app = (name: "storage" | "broker" | "admin", args: readonly string[], ready: RegExp): Promise<TestProcess> =>
    start(
      name,
      process.execPath,
      [
        entries[name],
        ...args,
        ...["--metrics-token-file", path("metrics-token")],
        ...["--log-level", "debug", "--reload-ms", "100", "--refuse-unsafe", "yes"],
      ],
      ready,
    );

  try {
    const server = await authority.server();
    const client = await authority.client("gmq-service");
    await write("ca.pem", authority.ca);
    await write("cert.pem", server.cert);
    await write("key.pem", server.key);
    await write("client-cert.pem", client.cert);
    await write("client-key.pem", client.key);
    await write("storage-token", `${secrets.storage}\n`);
    await write("portal-token", `${secrets.portal}\n`);
    await write("metrics-token", `${secrets.metrics}\n`);
    const rights = {
      roles: {
        shop: [{ topics: ["orders*"], groups: ["shop*"], allow: ["publish", "consume"] }],
        everything: [{ topics: ["*"], groups: ["*"], allow: ["publish", "consume", "admin"] }],
      },
      tokens: [
        { name: "shop", hash: hashToken(secrets.shop), roles: ["shop"] },
        { name: "portal", hash: hashToken(secrets.portal), roles: ["everything"] },
      ],
    };
    await write("access.yaml", JSON.stringify(rights));
    await write(
      "portal.yaml",
      JSON.stringify({ users: [{ name: "ada", password: await hashPassword(secrets.password), role: "operator" }] }),
    );
    const [redisPort, storagePort, brokerPort, adminPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const acl = await write("users.acl", `user default off\nuser gmq on >${secrets.redis} ${redisAcl.join(" ")}\n`);
    const pair = (prefix: string): string[] => [
      `--${prefix}-cert`,
      path("cert.pem"),
      `--${prefix}-key`,
      path("key.pem"),
    ];
    const clientPair = (prefix: string): string[] => [
      `--${prefix}-ca`,
      path("ca.pem"),
      `--${prefix}-cert`,
      path("client-cert.pem"),
      `--${prefix}-key`,
      path("client-key.pem"),
    ];
    const redis = await start(
      "redis",
      process.env["GMQ_TEST_REDIS_SERVER"] ?? "redis-server",
      [
        "--port",
        "0",
        "--tls-port",
        String(redisPort),
        "--bind",
        "127.0.0.1",
        "--dir",
        folder.path,
        "--save",
        "",
        "--aclfile",
        acl,
        "--tls-cert-file",
        path("cert.pem"),
        "--tls-key-file",
        path("key.pem"),
        "--tls-ca-cert-file",
        path("ca.pem"),
        "--tls-auth-clients",
        "yes",
      ],
      /Ready to accept connections/,
    );
    const storage = await app(
      "storage",
      [
        "--addr",
        `:${storagePort}`,
        "--redis-url",
        `rediss://gmq:${secrets.redis}@127.0.0.1:${redisPort}`,
        ...clientPair("redis"),
        ...pair("tls"),
        "--tls-client-ca",
        path("ca.pem"),
        "--tls-require-client-cert",
        "yes",
        "--storage-token-file",
        path("storage-token"),
      ],
      /storage listens/,
    );
    const broker = await app(
      "broker",
      [
        "--addr",
        `:${brokerPort}`,
        "--storage",
        `https://localhost:${storagePort}`,
        ...clientPair("storage"),
        "--storage-token-file",
        path("storage-token"),
        ...pair("tls"),
        "--access-file",
        path("access.yaml"),
        "--heartbeat-ms",
        "500",
      ],
      /linked to storage/,
    );
    const admin = await app(
      "admin",
      [
        "--addr",
        `:${adminPort}`,
        "--brokers",
        `https://localhost:${brokerPort}`,
        "--broker-ca",
        path("ca.pem"),
        "--broker-token-file",
        path("portal-token"),
        ...pair("tls"),
        "--portal-access-file",
        path("portal.yaml"),
      ],
      /portal listens/,
    );
    return {
      authority,
      secrets,
      path,
      write,
      brokerUrl: `https://localhost:${brokerPort}`,
      storageUrl: `https://localhost:${storagePort}`,
      adminUrl: `https://localhost:${adminPort}`,
      parts: { redis, storage, broker, admin },
      output: () => processes.map((one) => one.output()).join("\n"),
      async stop() {
        for (const one of processes.toReversed()) await one.kill();
        await folder.remove();
      },
    };
  } catch (error) {
    for (const one of processes.toReversed()) await one.kill();
    await folder.remove();
    throw error;
  }
}
