/** A whole GMQ as real processes, with a misbehaving proxy on every path between them. */
import { readFile } from "node:fs/promises";
import type { TestProcess } from "@gmq/e2e/harness/child-process";
import { startRedis, type TestRedis, type TestRedisOptions } from "@gmq/e2e/harness/redis-server";
import { freePorts, startPart, type TopologyPart } from "@gmq/e2e/harness/topologies";
import { entries, temporaryFolder } from "@gmq/e2e/harness/workspace";
import { startProxy, type TcpProxy } from "../faults/tcp-proxy.ts";

/** What the records lie in. */
export type StoreKind = "embedded" | "redis always" | "redis everysec" | "redis replicated";

export interface World {
  readonly store: StoreKind;
  /** What clients connect to: proxies before the brokers. */
  readonly brokers: readonly string[];
  /** The same without proxies, for the judge. */
  readonly brokersDirect: readonly string[];
  readonly storagesDirect: readonly string[];
  readonly parts: readonly TopologyPart[];
  readonly redis: TestRedis | undefined;
  /** Copies what `redis` takes; only of "redis replicated". */
  readonly replica: TestRedis | undefined;
  readonly proxies: Proxies;
  stop(): Promise<void>;
}

/** The paths, by who is on them. */
export interface Proxies {
  readonly clientToBroker: readonly TcpProxy[];
  readonly brokerToStorage: readonly TcpProxy[];
  readonly storageToRedis: readonly TcpProxy[];
}

export interface WorldOptions {
  readonly store: StoreKind;
  /** A seeded bug for every GMQ process. */
  readonly bug?: string;
  readonly brokerArgs?: readonly string[];
}

/** Starts a world: one process on the embedded engine, or two brokers over two storage processes over Redis. */
export async function startWorld(options: WorldOptions): Promise<World> {
  return options.store === "embedded" ? startSingle(options) : startSeparate(options, options.store);
}

/** Switches a seeded bug on in a process that is started with it. */
export function bugEnvironment(bug: string | undefined): Record<string, string> {
  return bug === undefined ? {} : { NODE_ENV: "test", GMQ_SEEDED_BUG: bug };
}

async function startSingle({ store, bug, brokerArgs = [] }: WorldOptions): Promise<World> {
  const folder = await temporaryFolder();
  const [broker = 0, storage = 0, admin = 0] = await freePorts(3);
  const args = ["--addr", address(broker), "--storage-addr", address(storage), "--admin-addr", address(admin)];
  args.push("--data", folder.path, ...brokerArgs);
  const part = await startPart("standalone", entries.standalone, url(broker), args, bugEnvironment(bug));
  const proxy = await startProxy("client to standalone", broker);
  return {
    store,
    brokers: [url(proxy.port)],
    brokersDirect: [url(broker)],
    storagesDirect: [url(storage)],
    parts: [part],
    redis: undefined,
    replica: undefined,
    proxies: { clientToBroker: [proxy], brokerToStorage: [], storageToRedis: [] },
    async stop() {
      await part.process.kill();
      await proxy.close();
      await folder.remove();
    },
  };
}

async function startSeparate({ bug, brokerArgs = [] }: WorldOptions, store: StoreKind): Promise<World> {
  const redisOptions: TestRedisOptions = {
    appendonly: store === "redis always" ? "always" : "everysec",
    args: ["--enable-debug-command", "local"],
  };
  const redis = await startRedis(redisOptions);
  const replica = store === "redis replicated" ? await startRedis(redisOptions) : undefined;
  const ports = await freePorts(4);
  const [storagePorts, brokerPorts] = [ports.slice(0, 2), ports.slice(2)];
  const env = bugEnvironment(bug);
  const parts: TopologyPart[] = [];
  const proxies: { [Path in keyof Proxies]: TcpProxy[] } = {
    clientToBroker: [],
    brokerToStorage: [],
    storageToRedis: [],
  };

  async function stop(): Promise<void> {
    for (const part of parts.toReversed()) await part.process.kill();
    for (const proxy of Object.values(proxies).flat()) await proxy.close();
    await replica?.stop();
    await redis.stop();
  }

  try {
    for (const [index, port] of storagePorts.entries()) {
      const path = await startProxy(`storage ${index + 1} to redis`, redis.port);
      proxies.storageToRedis.push(path);
      const args = [
        "--addr",
        address(port),
        "--redis-url",
        `redis://127.0.0.1:${path.port}`,
        "--storage-id",
        `s${index + 1}`,
      ];
      parts.push(await startPart(`storage ${index + 1}`, entries.storage, url(port), args, env));
    }
    for (const [index, port] of brokerPorts.entries()) {
      const paths: TcpProxy[] = [];
      for (const [at, storagePort] of storagePorts.entries())
        paths.push(await startProxy(`broker ${index + 1} to storage ${at + 1}`, storagePort));
      proxies.brokerToStorage.push(...paths);
      const storages = paths.map((path) => url(path.port)).join(",");
      const args = ["--addr", address(port), "--storage", storages, "--broker-id", `b${index + 1}`, ...brokerArgs];
      parts.push(await startPart(`broker ${index + 1}`, entries.broker, url(port), args, env));
      proxies.clientToBroker.push(await startProxy(`client to broker ${index + 1}`, port));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    store,
    brokers: proxies.clientToBroker.map((path) => url(path.port)),
    brokersDirect: brokerPorts.map(url),
    storagesDirect: storagePorts.map(url),
    parts,
    redis,
    replica,
    proxies,
    stop,
  };
}

/** Resident bytes of a process; undefined when it is gone. Source: proc(5), /proc/<pid>/statm, in pages of 4 KiB. */
export async function residentBytes({ pid }: TestProcess): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/statm`, "utf8").catch(() => undefined);
  const pages = Number(text?.split(" ")[1]);
  return Number.isFinite(pages) && pages > 0 ? pages * 4_096 : undefined;
}

function address(port: number): string {
  return `127.0.0.1:${port}`;
}

function url(port: number): string {
  return `http://127.0.0.1:${port}`;
}
