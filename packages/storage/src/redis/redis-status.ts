import type { StoreStatus } from "../engine.js";
import type { StoreBytes } from "../retention/janitor.js";
import type { RedisConnection } from "./connection.js";
import type { RedisClient } from "./redis-client.js";
import { rethrow } from "./redis-errors.js";
import { fieldsOf } from "./redis-info.js";
import { storeTimeMs } from "./store-clock.js";

/** What Redis says of itself; never throws. Source: redis.io, INFO and CONFIG GET. */
export async function redisStatus(connection: RedisConnection, closed: boolean): Promise<StoreStatus> {
  const down = (reason: string): StoreStatus => ({
    engine: "redis",
    ready: false,
    reason,
    durability: "unknown",
    details: {},
  });
  if (closed) return down("the engine is closed");
  if (!connection.ready) return down(connection.problem?.message ?? "there is no connection to Redis");
  try {
    const all = (await connection.each((redis) => redis.info())).map(fieldsOf);
    const [info] = all as [ReadonlyMap<string, string>, ...ReadonlyMap<string, string>[]];
    const clocks = await connection.each(askClock);
    const fsync = await configured(connection, "appendfsync");
    const isReplica = info.get("role") === "slave";
    return {
      engine: "redis",
      ready: !isReplica,
      reason: isReplica ? "this Redis is a replica and refuses writes" : await readOnlyReason(connection, all),
      durability: durabilityOf(leastOf(all, "aof_enabled"), fsync),
      details: {
        ...Object.fromEntries(
          shown.flatMap(([field, name]) => (info.has(field) ? [[name, info.get(field) as string]] : [])),
        ),
        ...(connection.isCluster ? clusterDetails(all) : {}),
        ...(fsync === "" ? {} : { appendfsync: fsync }),
        ...worstClock(clocks),
      },
    };
  } catch (error) {
    return down(error instanceof Error ? error.message : String(error));
  }
}

/** Why a master refuses writes though it answers; "" when it takes them. What is stored can still be read. */
async function readOnlyReason(
  connection: RedisConnection,
  all: readonly ReadonlyMap<string, string>[],
): Promise<string> {
  if (all.some((info) => info.get("aof_enabled") === "1" && info.get("aof_last_write_status") === "err"))
    return "read-only: Redis cannot write its append-only file";
  if (all.some((info) => info.get("rdb_last_bgsave_status") === "err") && (await stopsWithoutSnapshots(connection)))
    return "read-only: Redis cannot save its snapshots (stop-writes-on-bgsave-error)";
  // Redis tells the number of good replicas only where min-replicas-to-write asks for some.
  const fewest = leastOf(all, "min_slaves_good_slaves");
  if (fewest === undefined) return "";
  const wanted = Number(await configured(connection, "min-replicas-to-write"));
  return Number(fewest) < wanted ? `read-only: Redis has ${fewest} of ${wanted} replicas that it has to have` : "";
}

/** Whether a failed snapshot stops writes: only where snapshots are asked for. Source: redis, server.c, writeCommandsDeniedByDiskError. */
async function stopsWithoutSnapshots(connection: RedisConnection): Promise<boolean> {
  const names = ["stop-writes-on-bgsave-error", "save"];
  const [stops, save] = await Promise.all(names.map((name) => configured(connection, name)));
  return stops === "yes" && save !== "";
}

/** A setting of this Redis; "" when it has none of that name, or is a managed one that refuses CONFIG. */
function configured(connection: RedisConnection, name: string): Promise<string> {
  return connection
    .run((redis) => redis.config("GET", name))
    .then((reply) => String((reply as unknown[])[1] ?? ""))
    .catch(() => "");
}

/** How long one command takes from here, and how far this Redis' clock is ahead of this machine's. */
interface Clock {
  readonly latencyMs: number;
  readonly aheadMs: number;
}

async function askClock(redis: RedisClient): Promise<Clock> {
  const startedMs = performance.now();
  const redisMs = await storeTimeMs(redis);
  const latencyMs = performance.now() - startedMs;
  // Redis looked at its clock about half-way.
  return { latencyMs, aheadMs: redisMs + latencyMs / 2 - Date.now() };
}

/** Of several masters the slowest answer, and the clock that is furthest off. */
function worstClock(clocks: readonly Clock[]): Readonly<Record<string, string>> {
  const latencyMs = Math.max(...clocks.map((clock) => clock.latencyMs));
  const aheadMs = clocks.reduce(
    (worst, clock) => (Math.abs(clock.aheadMs) > Math.abs(worst) ? clock.aheadMs : worst),
    0,
  );
  return { latency_ms: latencyMs.toFixed(2), clock_ahead_ms: aheadMs.toFixed(0) };
}

/** What is summed over the masters of a cluster; all else is the first one's. */
function clusterDetails(all: readonly ReadonlyMap<string, string>[]): Readonly<Record<string, string>> {
  const sumOf = (field: string): string => String(all.reduce((sum, info) => sum + Number(info.get(field) ?? 0), 0));
  return {
    cluster_masters: String(all.length),
    used_memory_bytes: sumOf("used_memory"),
    maxmemory_bytes: sumOf("maxmemory"),
    evicted_keys: sumOf("evicted_keys"),
  };
}

/** The least of a number that each master tells; undefined when one does not. */
function leastOf(all: readonly ReadonlyMap<string, string>[], field: string): string | undefined {
  const values = all.map((info) => info.get(field));
  return values.includes(undefined) ? undefined : String(Math.min(...values.map(Number)));
}

/**
 * Redis' memory and its bound: what is asked for, or maxmemory when that is less. Undefined: there is no bound. In a cluster that of the fullest master, which is the
 * first to refuse; what is asked for is shared out among them.
 */
export async function redisBytes(
  connection: RedisConnection,
  asked: number | undefined,
): Promise<StoreBytes | undefined> {
  const all = (await connection.each((redis) => redis.info("memory")).catch(rethrow)).map(fieldsOf);
  const share = asked === undefined ? Number.POSITIVE_INFINITY : asked / all.length;
  let fullest: StoreBytes | undefined;
  for (const info of all) {
    const maxmemory = Number(info.get("maxmemory") ?? 0);
    const bytesMax = Math.min(share, maxmemory === 0 ? Number.POSITIVE_INFINITY : maxmemory);
    if (bytesMax === Number.POSITIVE_INFINITY) continue;
    const bytes = Number(info.get("used_memory") ?? 0);
    if (fullest === undefined || bytes / bytesMax > fullest.bytes / fullest.bytesMax) fullest = { bytes, bytesMax };
  }
  return fullest;
}

const shown = [
  ["redis_version", "version"],
  ["valkey_version", "valkey_version"],
  ["dragonfly_version", "dragonfly_version"],
  ["role", "role"],
  ["used_memory", "used_memory_bytes"],
  ["maxmemory", "maxmemory_bytes"],
  ["maxmemory_policy", "maxmemory_policy"],
  ["evicted_keys", "evicted_keys"],
  ["connected_clients", "connected_clients"],
  ["aof_enabled", "aof_enabled"],
  ["aof_last_write_status", "aof_last_write"],
  ["rdb_last_bgsave_status", "last_save"],
  ["cluster_enabled", "cluster_enabled"],
  ["connected_slaves", "replicas"],
  ["uptime_in_seconds", "uptime_s"],
] as const;

function durabilityOf(aofEnabled: string | undefined, fsync: string): StoreStatus["durability"] {
  if (aofEnabled === undefined) return "unknown";
  if (aofEnabled === "0") return "memory";
  if (fsync === "always") return "disk";
  return fsync === "everysec" ? "about 1 s" : "unknown";
}
