import { GmqError } from "@gmq/protocol";
import type { RedisClient } from "./redis-client.js";
import { isReply } from "./redis-errors.js";
import { fieldsOf } from "./redis-info.js";

/** The first with XADD NOMKSTREAM and XTRIM MINID, without which nothing can be appended or trimmed. Valkey and Dragonfly name here the Redis that they are like. */
const versionMin = [6, 2] as const;

/**
 * Refuses a server that is too old to store records, before anybody is told that the store is ready.
 * @throws GmqError `unsupported_version`
 */
export async function checkServerVersion(redis: RedisClient): Promise<void> {
  let info: string;
  try {
    info = await redis.info("server");
  } catch (error) {
    if (isReply(error)) return; // a managed Redis may refuse INFO
    throw error;
  }
  checkServerInfo(info);
}

/** @throws GmqError `unsupported_version` */
export function checkServerInfo(info: string): void {
  const version = fieldsOf(info).get("redis_version") ?? "";
  const [major, minor] = version.split(".").map(Number);
  if (major === undefined || minor === undefined || Number.isNaN(major + minor)) return; // nothing is known
  const [majorMin, minorMin] = versionMin;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  const needed = versionMin.join(".");
  throw new GmqError("unsupported_version", `Redis ${version} is too old: GMQ needs ${needed} or newer`, {
    field: "redis_version",
    limit: needed,
  });
}
