/** A real Redis for tests of this package: REDIS_URL when it is set and nothing has to be broken, else one of its own on a free port. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";

export interface OwnRedis {
  readonly url: string;
  readonly port: number;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a redis-server; further arguments are its settings. */
export async function startOwnRedis(args: readonly string[] = []): Promise<OwnRedis> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "gmq-redis-"));
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const settings = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", ...args];
    child = spawn(process.env["GMQ_REDIS_SERVER"] ?? "redis-server", settings, { stdio: "ignore" });
    const untilMs = performance.now() + 10_000;
    while (!(await answers(port))) {
      if (performance.now() > untilMs) throw new Error(`redis-server on port ${port} does not answer`);
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
    url: `redis://127.0.0.1:${port}`,
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

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.setTimeout(500, () => socket.destroy());
    socket.once("data", (data) => {
      resolve(data.toString().startsWith("+PONG"));
      socket.destroy();
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
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
