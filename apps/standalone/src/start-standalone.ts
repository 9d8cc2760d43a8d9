import { join } from "node:path";
import { serveAdmin } from "@gmq/app-admin";
import { serveBroker } from "@gmq/app-broker";
import { openEngine, serveStorage } from "@gmq/app-storage";
import type { Logger } from "@gmq/log";
import { openInTurn, type RunningService } from "@gmq/service";
import type { Engine } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import type { StandaloneConfig } from "./config.js";
import { noPeerFiles, openPorts } from "./open-ports.js";

/** Broker, storage and portal that listen in one process. */
export interface RunningStandalone extends RunningService {
  readonly brokerUrl: string;
  readonly storageUrl: string;
  readonly adminUrl: string;
  /** Where the records are, for people. */
  readonly store: string;
}

/**
 * Runs everything in this process. The broker calls the engine directly; the storage service serves the same engine to brokers elsewhere.
 * @throws GmqError when a port or the data folder cannot be had
 */
export async function startStandalone(config: StandaloneConfig, logger: Logger): Promise<RunningStandalone> {
  return openInTurn(async (closers) => {
    const data = config.memory || config.redisUrl !== undefined ? undefined : join(config.data, "portal");
    const portal = { ...config, addr: config.adminAddr, data, brokers: [], ...noPeerFiles };
    // Before anything listens: a wrong file of one part stops all.
    const ports = openPorts(config, portal, logger);
    closers.add(ports.close);
    const engine = await openStore(config, logger.child({ part: "store" }));
    closers.add(engine.close);
    const storage = await serveStorage(
      engine,
      { ...config, addr: config.storageAddr, storageId: undefined },
      ports.storage,
      logger.child({ part: "storage" }),
    );
    closers.add(storage.close);
    const broker = await serveBroker(
      engine,
      { ...config, brokerId: undefined },
      ports.broker,
      logger.child({ part: "broker" }),
    );
    closers.add(broker.close);
    const admin = await serveAdmin({ ...portal, brokers: [broker.url] }, ports.portal, logger.child({ part: "admin" }));
    closers.add(admin.close);
    const { details } = await engine.status();
    return {
      brokerUrl: broker.url,
      storageUrl: storage.url,
      adminUrl: admin.url,
      store: config.memory ? "memory only" : engine.kind === "redis" ? "Redis" : `${details["path"]} (embedded engine)`,
      async drain(deadlineMs) {
        await Promise.all([admin.drain(deadlineMs), broker.drain(deadlineMs), storage.drain(deadlineMs)]);
      },
      close: closers.close,
    };
  });
}

function openStore(config: StandaloneConfig, logger: Logger): Promise<Engine> {
  const { redisUrl, keyPrefix, data, storeBytesMax, redisCa, redisCert, redisKey, reloadMs, refuseUnsafe } = config;
  if (config.memory) return createEmbeddedEngine({ memory: true, storeBytesMax, logger });
  const isRedis = redisUrl !== undefined;
  const place = {
    redisUrl,
    keyPrefix,
    data: isRedis ? undefined : data,
    redisAddr: "",
    redisUser: "",
    redisPass: "",
    redisSentinelUser: "",
    redisSentinelPass: "",
    redisTls: false,
    redisMaster: "",
    redisReplicas: 0,
    redisReplicaTimeoutMs: 1_000,
    redisCa,
    redisCert,
    redisKey,
    reloadMs,
    refuseUnsafe,
  };
  return openEngine({ ...place, storeBytesMax }, logger);
}
