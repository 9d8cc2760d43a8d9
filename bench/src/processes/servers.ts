/** The servers of a run, started when a system needs them first: GMQ's own three, a Redis for the baselines, NATS, RabbitMQ, the http2 sink. */
import { execFile } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import type { Addresses, SystemName } from "../client/task.ts";
import { freePort, type ServerProcess, startServer } from "./child-process.ts";
import { rabbitmqIsInstalled, startRabbitmq } from "./rabbitmq.ts";

/** The servers of one system. */
export interface SystemServers {
  readonly addresses: Addresses;
  readonly processes: readonly ServerProcess[];
  /** Bytes that its Redis holds; undefined where it has none. */
  redisBytes(): Promise<number | undefined>;
}

export interface Servers {
  /** Starts what the system needs. @throws when something cannot be started */
  of(system: SystemName): Promise<SystemServers>;
  stop(): Promise<void>;
}

/** As the images start node: docker/Dockerfile. */
const imageNodeArgs = ["--v8-pool-size=1", "--max-semi-space-size=16"];

export interface ServersOptions {
  /** Write CPU profiles of broker and storage into this folder. */
  readonly profileFolder: string | undefined;
  readonly nodeArgs: readonly string[];
}

const root = resolve(import.meta.dirname, "../../..");
const run = promisify(execFile);

/** Why a system cannot run here; undefined when it can. */
export async function whyAbsent(system: SystemName): Promise<string | undefined> {
  if (system === "nats")
    return (await canRun("nats-server", ["--version"])) ? undefined : "nats-server is not installed";
  if (system === "rabbitmq") return rabbitmqIsInstalled() ? undefined : "rabbitmq-server is not installed";
  if (system === "floor-http2" || system === "floor-fsync" || system === "engine-file") return undefined;
  return (await canRun("redis-server", ["--version"])) ? undefined : "redis-server is not installed";
}

async function canRun(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(command, [...args]);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Makes the set; nothing runs yet. */
export async function createServers({ profileFolder, nodeArgs }: ServersOptions): Promise<Servers> {
  const folder = await mkdtemp(join(tmpdir(), "gmq-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const started = new Map<string, Promise<{ readonly port: number; readonly process: ServerProcess }>>();
  const clients: Redis[] = [];
  let folders = 0;

  function once(name: string, start: (port: number) => Promise<ServerProcess>) {
    let server = started.get(name);
    if (server === undefined) {
      server = freePort().then(async (port) => ({ port, process: await start(port) }));
      started.set(name, server);
    }
    return server;
  }

  async function redis(name: string) {
    const cwd = await mkdtemp(join(folder, "redis-"));
    const args = ["--bind", "127.0.0.1", "--dir", cwd, "--save", "", "--appendonly", "no", "--loglevel", "warning"];
    return once(name, (port) =>
      startServer({
        name: "redis",
        command: "redis-server",
        args: ["--port", String(port), ...args],
        cwd,
        ready: () => listens(port),
      }),
    );
  }

  /** A built app of this checkout. */
  function app(name: "broker" | "storage", port: number, args: readonly string[]): Promise<ServerProcess> {
    const entry = join(root, "apps", name, "dist/main.js");
    if (!existsSync(entry)) throw new Error(`${entry} is not built: run make build`);
    const profile =
      profileFolder === undefined
        ? []
        : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${name}.cpuprofile`];
    return startServer({
      name,
      command: process.execPath,
      args: [
        ...profile,
        ...imageNodeArgs,
        ...nodeArgs,
        entry,
        "--addr",
        `127.0.0.1:${port}`,
        "--log-level",
        "warn",
        ...args,
      ],
      ready: () => isReady(port),
    });
  }

  async function gmq(): Promise<{ brokerPort: number; redisPort: number; processes: ServerProcess[] }> {
    const store = await redis("redis of gmq");
    const storage = await once("storage", (port) => app("storage", port, ["--redis-addr", `127.0.0.1:${store.port}`]));
    const broker = await once("broker", (port) =>
      app("broker", port, ["--storage", `http://127.0.0.1:${storage.port}`]),
    );
    return {
      brokerPort: broker.port,
      redisPort: store.port,
      processes: [broker.process, storage.process, store.process],
    };
  }

  /** A process of the node:http2 floors. */
  function floor(name: string, file: string, ports: readonly number[]) {
    const entry = join(root, "bench/src/floor", file);
    return once(`floor ${name}`, (port) =>
      startServer({
        name,
        command: process.execPath,
        args: [...imageNodeArgs, entry, ...[port, ...ports].map(String)],
        ready: () => listens(port),
      }),
    );
  }

  async function nats() {
    const store = await mkdtemp(join(folder, "nats-"));
    return once("nats", (port) =>
      startServer({
        name: "nats",
        command: "nats-server",
        args: ["--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", store],
        ready: () => listens(port),
      }),
    );
  }

  async function rabbitmq() {
    const home = await mkdtemp(join(folder, "rabbitmq-"));
    return once("rabbitmq", (port) => startRabbitmq(home, port, () => listens(port)));
  }

  async function serversOf(
    system: SystemName,
    own: Addresses,
  ): Promise<{ addresses: Addresses; processes: readonly ServerProcess[] }> {
    switch (system) {
      case "gmq": {
        const { brokerPort, redisPort, processes } = await gmq();
        return { addresses: { ...own, brokerUrl: `http://127.0.0.1:${brokerPort}`, redisPort }, processes };
      }
      case "engine-redis":
      case "floor-resp":
      case "ioredis":
      case "bullmq": {
        // A store of GMQ's and the baselines' keys do not meet.
        const { port, process: server } = await redis(
          system === "engine-redis" ? "redis of the engine" : "redis of the baselines",
        );
        return { addresses: { ...own, redisPort: port }, processes: [server] };
      }
      case "nats": {
        const { port, process: server } = await nats();
        return { addresses: { ...own, natsPort: port }, processes: [server] };
      }
      case "rabbitmq": {
        const { port, process: server } = await rabbitmq();
        return { addresses: { ...own, amqpPort: port }, processes: [server] };
      }
      case "floor-http2": {
        const { port, process: server } = await floor("sink", "end-process.ts", []);
        return { addresses: { ...own, http2Port: port }, processes: [server] };
      }
      case "floor-chain": {
        const store = await redis("redis of the chain");
        const end = await floor("end", "end-process.ts", [store.port]);
        const relay = await floor("relay", "relay-process.ts", [end.port]);
        return {
          addresses: { ...own, http2Port: relay.port, redisPort: store.port },
          processes: [relay.process, end.process, store.process],
        };
      }
      case "engine-file":
      case "floor-fsync":
        return { addresses: own, processes: [] };
    }
  }

  return {
    async of(system) {
      const own = join(folder, `round-${++folders}`);
      const nowhere = {
        brokerUrl: "",
        redisPort: 0,
        natsPort: 0,
        amqpPort: 0,
        http2Port: 0,
        folder: await mkdtemp(`${own}-`),
      };
      const { addresses, processes } = await serversOf(system, nowhere);
      const client =
        addresses.redisPort === 0 ? undefined : new Redis({ host: "127.0.0.1", port: addresses.redisPort });
      if (client !== undefined) clients.push(client);
      return {
        addresses,
        processes,
        async redisBytes() {
          if (client === undefined) return undefined;
          return Number(/used_memory:(\d+)/.exec(await client.info("memory"))?.[1]);
        },
      };
    },
    async stop() {
      for (const client of clients) client.disconnect();
      const all = await Promise.allSettled(started.values());
      // Brokers before their storage, storage before its Redis.
      for (const server of all.toReversed()) if (server.status === "fulfilled") await server.value.process.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    const end = (answer: boolean): void => {
      socket.destroy();
      done(answer);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

/** The health page of an app says whether its store answers. */
async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
