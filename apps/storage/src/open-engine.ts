import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import type { Engine } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createRedisEngine, type RedisEngineOptions } from "@gmq/storage/redis";
import type { StorageConfig } from "./config.js";

/** The settings that name a store. */
export type StorePlace = Pick<
  StorageConfig,
  | "data"
  | "redisUrl"
  | "redisAddr"
  | "redisCluster"
  | "redisSentinels"
  | "redisMaster"
  | "redisPass"
  | "redisReplicas"
  | "redisReplicaTimeoutMs"
  | "keyPrefix"
  | "storeBytesMax"
>;

/** Opens the store that the settings name: a folder when there is one, else Redis. @throws GmqError `invalid_argument` when they name two */
export function openEngine(config: StorePlace, logger: Logger): Promise<Engine> {
  const { data, redisUrl, redisCluster, redisSentinels, keyPrefix, storeBytesMax } = config;
  const named = Object.entries({ data, redisUrl, redisCluster, redisSentinels }).filter(
    ([, value]) => value !== undefined,
  );
  if (named.length > 1) {
    throw new GmqError(
      "invalid_argument",
      `the settings name several stores: ${named.map(([key]) => key).join(", ")}`,
      {
        field: named[1]?.[0] ?? "",
        limit: "one of data, redisUrl, redisCluster, redisSentinels",
      },
    );
  }
  if (data !== undefined) return createEmbeddedEngine({ path: data, storeBytesMax, logger });
  return createRedisEngine({
    prefix: keyPrefix,
    storeBytesMax,
    logger,
    replicas: config.redisReplicas,
    replicaTimeoutMs: config.redisReplicaTimeoutMs,
    ...redisOf(config),
  });
}

function redisOf(config: StorePlace): Pick<RedisEngineOptions, "url" | "cluster" | "redis"> {
  const { redisUrl, redisAddr, redisCluster, redisSentinels, redisMaster, redisPass } = config;
  if (redisUrl !== undefined) return { url: redisUrl };
  const password = redisPass === "" ? {} : { password: redisPass };
  if (redisCluster !== undefined) return { cluster: redisCluster.map(nodeOf), redis: password };
  if (redisSentinels !== undefined)
    return { redis: { sentinels: redisSentinels.map(nodeOf), name: redisMaster, ...password } };
  return { url: `redis://${redisAddr}`, redis: password };
}

function nodeOf(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
