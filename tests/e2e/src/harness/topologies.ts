import { startProcess, type TestProcess } from "./child-process.ts";
import type { TestRedis, TestRedisOptions } from "./redis-server.ts";
import { openTestStore } from "./test-store.ts";
import { waitUntilReady } from "./wait-until.ts";
import { entries, freePort, temporaryFolder } from "./workspace.ts";

/** A GMQ of one test, as real processes of the built apps. */
export interface Topology {
  readonly name: string;
  /** URLs of the brokers, for clients. */
  readonly brokers: readonly string[];
  readonly storageUrl: string;
  readonly adminUrl: string;
  readonly parts: readonly TopologyPart[];
  /** Undefined on the embedded engine, and on the Redis of REDIS_URL. */
  readonly redis: TestRedis | undefined;
  /** The part of this name: "standalone"; or "storage", "broker 1", "broker 2", "admin". */
  part(name: string): TopologyPart;
  /** Ends everything and deletes all data. Idempotent. */
  stop(): Promise<void>;
}

/** One process of a topology, which can be killed and started again on its ports and data. */
export interface TopologyPart {
  readonly name: string;
  readonly url: string;
  /** The running process, or the last one. */
  readonly process: TestProcess;
  kill(): Promise<void>;
  /** Starts it again and waits until it is ready. */
  restart(): Promise<void>;
  /** SIGTERM, then waits until it has drained and ended. */
  stop(): Promise<void>;
}

/** Broker, storage and admin in one process on the embedded engine, in a temporary folder. */
export async function startStandalone(options: { readonly args?: readonly string[] } = {}): Promise<Topology> {
  const folder = await temporaryFolder();
  const [broker, storage, admin] = await freePorts(3);
  const args = ["--addr", address(broker), "--storage-addr", address(storage), "--admin-addr", address(admin)];
  const standalone = await startPart("standalone", entries.standalone, url(broker), [
    ...args,
    "--data",
    folder.path,
    ...(options.args ?? []),
  ]);
  return topology("standalone, embedded engine", {
    brokers: [url(broker)],
    storageUrl: url(storage),
    adminUrl: url(admin),
    parts: [standalone],
    redis: undefined,
    remove: folder.remove,
  });
}

/** What `startServices` starts. */
export interface ServicesOptions {
  /** Default 1. */
  readonly brokers?: number;
  /** Given: a redis-server of the test's own, to be killed or filled. Default: that of REDIS_URL, or one of its own. */
  readonly redis?: TestRedisOptions;
  readonly brokerArgs?: readonly string[];
  readonly storageArgs?: readonly string[];
  readonly adminArgs?: readonly string[];
}

/** Separate processes on a real Redis: one storage, brokers, one admin. */
export async function startServices(options: ServicesOptions = {}): Promise<Topology> {
  const store = await openTestStore(options.redis);
  const brokerCount = options.brokers ?? 1;
  const [storagePort, adminPort, ...brokerPorts] = await freePorts(brokerCount + 2);
  const parts: TopologyPart[] = [];
  try {
    const storageArgs = ["--addr", address(storagePort), "--redis-url", store.url, "--key-prefix", store.prefix];
    storageArgs.push(...(options.storageArgs ?? []));
    parts.push(await startPart("storage", entries.storage, url(storagePort), storageArgs));
    for (const [index, port] of brokerPorts.entries()) {
      const args = ["--addr", address(port), "--storage", url(storagePort), ...(options.brokerArgs ?? [])];
      parts.push(await startPart(`broker ${index + 1}`, entries.broker, url(port), args));
    }
    const adminArgs = [
      "--addr",
      address(adminPort),
      "--brokers",
      brokerPorts.map(url).join(","),
      ...(options.adminArgs ?? []),
    ];
    parts.push(await startPart("admin", entries.admin, url(adminPort), adminArgs));
  } catch (error) {
    for (const part of parts) await part.process.kill();
    await store.stop();
    throw error;
  }
  return topology("separate processes, Redis", {
    brokers: brokerPorts.map(url),
    storageUrl: url(storagePort),
    adminUrl: url(adminPort),
    parts,
    redis: store.redis,
    remove: () => store.stop(),
  });
}

function topology(
  name: string,
  whole: Omit<Topology, "name" | "part" | "stop"> & { readonly remove: () => Promise<void> },
): Topology {
  const { remove, ...rest } = whole;
  return {
    name,
    ...rest,
    part(partName) {
      const found = rest.parts.find((part) => part.name === partName);
      if (found === undefined) throw new Error(`${name} has no part ${partName}`);
      return found;
    },
    async stop() {
      // Killed, not asked: a test that cares how a part ends has stopped it before.
      for (const part of rest.parts.toReversed()) await part.process.kill();
      await remove();
    },
  };
}

/** Starts a built app and waits until it is ready. */
export async function startPart(
  name: string,
  entry: string,
  readyUrl: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<TopologyPart> {
  async function start(): Promise<TestProcess> {
    const started = startProcess({ name, command: process.execPath, args: [entry, ...args], env });
    // An early end is told with its output instead of waiting for the deadline.
    const ended = started.exited.then((exit) => {
      throw new Error(`${name} ended with ${JSON.stringify(exit)} before it was ready:\n${started.output()}`);
    });
    try {
      await Promise.race([waitUntilReady(readyUrl), ended]);
    } catch (error) {
      await started.kill();
      throw error;
    }
    return started;
  }
  let current = await start();
  return {
    name,
    url: readyUrl,
    get process() {
      return current;
    },
    async kill() {
      await current.kill();
    },
    async restart() {
      current = await start();
    },
    async stop() {
      await current.stop();
    },
  };
}

/** Ports that nobody listens on, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

function address(port: number | undefined): string {
  return `127.0.0.1:${port}`;
}

function url(port: number | undefined): string {
  return `http://127.0.0.1:${port}`;
}
