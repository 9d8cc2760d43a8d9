/** A real Redis for tests of this package: REDIS_URL when it is set and nothing has to be broken, else one of its own on a free port. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis, type RedisOptions } from "ioredis";

/** TLS and users of servers that a test starts. */
export interface RedisSecurity {
  /** Settings of each server. */
  readonly args: readonly string[];
  /** How the test itself calls them. */
  readonly options: Pick<RedisOptions, "tls" | "username" | "password">;
}

export interface OwnRedis {
  readonly url: string;
  readonly port: number;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The server that tests start: that of `GMQ_TEST_REDIS_SERVER`, else redis-server on PATH. */
export function redisServer(): string {
  return process.env["GMQ_TEST_REDIS_SERVER"] ?? "redis-server";
}

/** Starts a redis-server; further arguments are its settings. With `security` it speaks TLS only. `binary` may be another server of the same protocol. */
export async function startOwnRedis(
  args: readonly string[] = [],
  security?: RedisSecurity,
  binary = redisServer(),
): Promise<OwnRedis> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "gmq-redis-"));
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const ports = security === undefined ? ["--port", String(port)] : ["--port", "0", "--tls-port", String(port)];
    const own = ["--bind", "127.0.0.1", "--dir", folder, "--save", ""];
    const settings = [...ports, ...own, ...(security?.args ?? []), ...args];
    child = spawn(binary, settings, { stdio: "ignore" });
    const untilMs = performance.now() + 10_000;
    while (!(await answers(port, security))) {
      if (performance.now() > untilMs) throw new Error(`${binary} on port ${port} does not answer`);
      await sleep(20);
    }
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const exited = once(running, "exit");
    running.kill("SIGKILL");
    await exited;
  }

  await start();
  return {
    url: `${security === undefined ? "redis" : "rediss"}://127.0.0.1:${port}`,
    port,
    kill,
    start,
    async stop() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The Redis of REDIS_URL, else one of its own. Whoever uses it takes a prefix and drops its keys afterwards. */
export async function openTestRedis(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const url = process.env["REDIS_URL"];
  return url === undefined || url === "" ? startOwnRedis() : { url, stop: async () => undefined };
}

/** Deletes what a test left under its prefix. */
export async function dropKeys(url: string, prefix: string): Promise<void> {
  const control = new Redis(url);
  const keys = await control.keys(`${prefix}:*`);
  if (keys.length > 0) await control.unlink(...keys);
  control.disconnect();
}

async function answers(port: number, security?: RedisSecurity): Promise<boolean> {
  try {
    return (await askRedis(port, "PING", [], security)) === "PONG";
  } catch {
    return false; // not up yet
  }
}

/** Sends one command to the server on this port, over a connection of its own. */
export async function askRedis(
  port: number,
  command: string,
  args: readonly string[],
  security?: RedisSecurity,
): Promise<unknown> {
  const redis = new Redis({
    ...security?.options,
    host: security === undefined ? "127.0.0.1" : "localhost",
    port,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  redis.on("error", () => redis.disconnect());
  try {
    await redis.connect();
    return await redis.call(command, ...args);
  } finally {
    redis.disconnect();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  server.close();
  await once(server, "close");
  return port;
}
