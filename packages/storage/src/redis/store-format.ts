import { GmqError } from "@gmq/protocol";
import type { Keys } from "./keys.js";
import type { RedisClient } from "./redis-client.js";

/** Version of what this build writes. */
const formatVersion = 1;

/**
 * Marks a new store with this build's format, and refuses one that a newer GMQ wrote.
 * @throws GmqError `unsupported_version`
 */
export async function checkFormat(redis: RedisClient, keys: Keys): Promise<void> {
  const found = await redis.get(keys.format);
  if (found === null) {
    await redis.set(keys.format, String(formatVersion), "NX");
    return;
  }
  if (Number(found) > formatVersion) {
    throw new GmqError("unsupported_version", `the store has format ${found}; this GMQ reads up to ${formatVersion}`, {
      field: keys.format,
      limit: `format ${formatVersion}`,
    });
  }
}
