import type { Logger } from "@gmq/log";
import type { Engine } from "@gmq/storage";
import { createEmbeddedEngine } from "@gmq/storage/embedded";
import { createRedisEngine } from "@gmq/storage/redis";
import type { StorageConfig } from "./config.js";

/** Opens the store that the settings name: a folder when there is one, else Redis. @throws GmqError */
export function openEngine(
  config: Pick<StorageConfig, "data" | "redisUrl" | "redisAddr" | "redisPass" | "keyPrefix" | "storeBytesMax">,
  logger: Logger,
): Promise<Engine> {
  const { redisUrl, redisAddr, redisPass, keyPrefix, storeBytesMax } = config;
  if (config.data !== undefined) return createEmbeddedEngine({ path: config.data, storeBytesMax, logger });
  if (redisUrl !== undefined) return createRedisEngine({ url: redisUrl, prefix: keyPrefix, storeBytesMax, logger });
  return createRedisEngine({
    url: `redis://${redisAddr}`,
    prefix: keyPrefix,
    storeBytesMax,
    logger,
    ...(redisPass === "" ? {} : { redis: { password: redisPass } }),
  });
}
