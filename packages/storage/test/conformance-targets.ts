/** The engines of this package as conformance targets, each over something real: a redis-server, a folder, a port. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@gmq/log";
import { listen } from "@gmq/service";
import type { ConformanceStore, ConformanceTarget } from "../src/conformance.js";
import { createEmbeddedEngine } from "../src/embedded.js";
import type { Engine } from "../src/engine.js";
import { createRedisEngine } from "../src/redis.js";
import { createRemoteEngine } from "../src/remote.js";
import { createStorageService } from "../src/service.js";
import { dropKeys, openTestRedis } from "./redis-server.js";

/** A Redis, and a prefix a store. `stop` ends it when it is the tests' own. */
export async function redisTarget(): Promise<ConformanceTarget & { stop(): Promise<void> }> {
  const server = await openTestRedis();
  return {
    name: "redis",
    async makeStore() {
      const prefix = `c-${randomUUID().slice(0, 8)}`;
      return {
        open: () => createRedisEngine({ url: server.url, prefix }),
        keepsRecords: true,
        dispose: () => dropKeys(server.url, prefix),
      };
    },
    stop: server.stop,
  };
}

/** A folder a store. */
export const fileTarget: ConformanceTarget = {
  name: "embedded, in a folder",
  async makeStore() {
    const path = await mkdtemp(join(tmpdir(), "gmq-conformance-"));
    return {
      open: () => createEmbeddedEngine({ path }),
      keepsRecords: true,
      dispose: () => rm(path, { recursive: true, force: true }),
    };
  },
};

export const memoryTarget: ConformanceTarget = {
  name: "embedded, in memory",
  async makeStore() {
    return {
      open: () => createEmbeddedEngine({ memory: true }),
      keepsRecords: false,
      dispose: async () => undefined,
    };
  },
};

/** Another target behind a storage service on a port of its own. */
export function remoteTarget(inner: ConformanceTarget): ConformanceTarget {
  return {
    name: `remote, over ${inner.name}`,
    async makeStore() {
      const store = await inner.makeStore();
      return { ...store, open: () => openRemote(store) };
    },
  };
}

/** Serves the store and links to it; closing the engine ends both. */
async function openRemote(store: ConformanceStore): Promise<Engine> {
  const engine = await store.open();
  const service = createStorageService(engine);
  const { routes, frameHandlers } = service;
  const listener = await listen({ host: "127.0.0.1", port: 0, routes, frameHandlers, logger: silentLogger });
  const remote = createRemoteEngine({ urls: [listener.url] });
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    await remote.close();
    service.close();
    await listener.close({ drainMs: 1_000 });
    await engine.close();
  }

  return { ...remote, close: () => (closing ??= close()) };
}
