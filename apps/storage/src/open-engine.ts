import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { type ClientTls, judgeSecretInTheClear, openClientTls } from "@gmq/service";
import type { Engine } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createRedisEngine, type RedisEngineOptions } from "@gmq/storage/redis";
import type { redisTlsFields, StorageConfig } from "./config.js";

/** The settings that name a store. */
export type StorePlace = Pick<
  StorageConfig,
  | "data"
  | "redisUrl"
  | "redisAddr"
  | "redisCluster"
  | "redisSentinels"
  | "redisMaster"
  | "redisUser"
  | "redisPass"
  | "redisSentinelUser"
  | "redisSentinelPass"
  | "redisTls"
  | "redisReplicas"
  | "redisReplicaTimeoutMs"
  | "keyPrefix"
  | "storeBytesMax"
  | "reloadMs"
  | "refuseUnsafe"
  | keyof typeof redisTlsFields
>;

/** Opens the store that the settings name: a folder when there is one, else Redis. @throws GmqError `invalid_argument` when they name two */
export async function openEngine(config: StorePlace, logger: Logger): Promise<Engine> {
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
  const tls = openRedisTls(config, logger);
  if (data !== undefined) return createEmbeddedEngine({ path: data, storeBytesMax, logger });
  const isClear = tls === undefined && !config.redisTls && redisUrl?.startsWith("rediss://") !== true;
  if (isClear) {
    const remedy = "use rediss://, --redis-tls or --redis-ca";
    judgeSecretInTheClear("Redis' password goes", placesOfPassword(config), remedy, config.refuseUnsafe, logger);
  }
  const engine = await createRedisEngine({
    prefix: keyPrefix,
    storeBytesMax,
    logger,
    replicas: config.redisReplicas,
    replicaTimeoutMs: config.redisReplicaTimeoutMs,
    ...redisOf(config, tls),
  });
  if (tls === undefined) return engine;
  return {
    ...engine,
    async close() {
      tls.close();
      await engine.close();
    },
  };
}

/** Certificates for Redis; where there are some, it is called over TLS. @throws GmqError `invalid_argument` naming the wrong file, or files without a use */
function openRedisTls(config: StorePlace, logger: Logger): ClientTls | undefined {
  const { data, redisUrl, redisCa, redisCert, redisKey, reloadMs } = config;
  const named = (flag: string, path: string | undefined) => (path === undefined ? undefined : { flag, path });
  const files = {
    ca: named("--redis-ca", redisCa),
    cert: named("--redis-cert", redisCert),
    key: named("--redis-key", redisKey),
  };
  const tls = openClientTls(files, reloadMs, logger);
  const isAsked = tls !== undefined || config.redisTls;
  if (!isAsked || (data === undefined && redisUrl?.startsWith("redis://") !== true)) return tls;
  tls?.close();
  throw new GmqError("invalid_argument", "TLS for Redis is asked for, and Redis is not called over TLS", {
    field: "--redis-url",
    limit: "rediss://…",
  });
}

function redisOf(
  config: StorePlace,
  certificates: ClientTls | undefined,
): Pick<RedisEngineOptions, "url" | "cluster" | "redis"> {
  const { redisUrl, redisAddr, redisCluster, redisSentinels, redisMaster } = config;
  const live = certificates?.live ?? (config.redisTls ? {} : undefined);
  const tls = live === undefined ? {} : { tls: live };
  if (redisUrl !== undefined) return { url: redisUrl, redis: tls };
  const redis = { ...tls, ...given({ username: config.redisUser, password: config.redisPass }) };
  if (redisCluster !== undefined) return { cluster: redisCluster.map(nodeOf), redis };
  if (redisSentinels === undefined) return { url: `redis://${redisAddr}`, redis };
  const sentinelTls = live === undefined ? {} : { sentinelTLS: live, enableTLSForSentinelMode: true };
  const sentinelLogin = given({
    sentinelUsername: config.redisSentinelUser,
    sentinelPassword: config.redisSentinelPass,
  });
  return {
    redis: {
      sentinels: redisSentinels.map(nodeOf),
      name: redisMaster,
      ...redis,
      ...sentinelTls,
      ...sentinelLogin,
    },
  };
}

/** Where a password is said, as URLs: nowhere without one. */
function placesOfPassword(config: StorePlace): string[] {
  const { redisUrl, redisAddr, redisCluster, redisSentinels = [], redisPass, redisSentinelPass } = config;
  if (redisUrl !== undefined) {
    const { host, password } = new URL(redisUrl);
    return password === "" ? [] : [`http://${host}`];
  }
  // The Sentinels name hosts that are not known yet; they are where the Sentinels are, or farther.
  const nodes = redisCluster ?? (redisSentinels.length > 0 ? redisSentinels : [redisAddr]);
  return redisPass === "" && redisSentinelPass === "" ? [] : nodes.map((node) => `http://${node}`);
}

/** Without those that are empty. */
function given<Key extends string>(texts: Readonly<Record<Key, string>>): Partial<Record<Key, string>> {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== "")) as Partial<Record<Key, string>>;
}

function nodeOf(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
