/** The one place where Redis' errors become GmqErrors. */
import { type ErrorCode, GmqError } from "@gmq/protocol";

/** By the first word of Redis' error text. Source: Redis' error prefixes (redis.io, RESP protocol description and command pages). */
const byPrefix: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  OOM: ["store_full", "Redis has reached maxmemory and refuses writes"],
  READONLY: ["store_read_only", "this Redis is a replica now and refuses writes"],
  MISCONF: ["store_read_only", "Redis cannot persist and refuses writes"],
  NOREPLICAS: ["store_read_only", "Redis has too few replicas and refuses writes"],
  LOADING: ["store_unavailable", "Redis is loading its data"],
  BUSY: ["store_unavailable", "Redis is busy with a script"],
  MASTERDOWN: ["store_unavailable", "Redis' master is down"],
  CLUSTERDOWN: ["store_unavailable", "the Redis Cluster is down"],
  TRYAGAIN: ["store_unavailable", "a slot of the Redis Cluster is moving"],
  MOVED: ["store_unavailable", "a slot of the Redis Cluster has moved"],
  ASK: ["store_unavailable", "a slot of the Redis Cluster is moving"],
  NOAUTH: ["store_unavailable", "Redis asks for a password"],
  WRONGPASS: ["store_unavailable", "Redis refuses the user or password"],
  NOPERM: ["store_unavailable", "the Redis user may not run a command that GMQ needs"],
};

/** The GmqError of whatever a Redis call failed with. Nothing is known to be stored. */
export function fromRedisError(error: unknown): GmqError {
  if (GmqError.is(error)) return error;
  const message = error instanceof Error ? error.message.replace(redirected, "") : String(error);
  const known = byPrefix[prefixOf(error)];
  if (known !== undefined) return new GmqError(known[0], `${known[1]}: ${message}`, { cause: error });
  if (isReply(error)) return new GmqError("internal", `Redis refused a command: ${message}`, { cause: error });
  return new GmqError("store_unavailable", `Redis does not answer: ${message}`, { cause: error });
}

/** Ends a chain of promises: whatever a Redis call failed with is thrown as its GmqError. */
export function rethrow(error: unknown): never {
  throw fromRedisError(error);
}

/** True when Redis itself answered with an error: then the command had no effect. Otherwise its outcome is unknown. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && (error.name === "ReplyError" || redirected.test(error.message));
}

/** How the cluster client gives up once it has followed MOVED, ASK and TRYAGAIN as often as it may: each was an answer, and nothing was done. */
const redirected = /^Too many Cluster redirections\. Last error: ReplyError: /;

/** Set by the scripts when the caller's epoch is not the partition's: `FENCED <current epoch>`. */
export function isFenced(error: unknown): boolean {
  return prefixOf(error) === "FENCED";
}

/** True for a stream id that is not above the last one. */
export function isStaleId(error: unknown): boolean {
  return isReply(error) && /equal or smaller/.test((error as Error).message);
}

/** True for what XINFO and XGROUP say of a stream that is not there. */
export function isNoStream(error: unknown): boolean {
  return error instanceof Error && /requires the key to exist|no such key/i.test(error.message);
}

/** The first word of an error's text. */
export function prefixOf(error: unknown): string {
  return error instanceof Error ? (error.message.replace(redirected, "").split(" ", 1)[0] ?? "") : "";
}
