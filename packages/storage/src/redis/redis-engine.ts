import { type Logger, silentLogger } from "@gmq/log";
import { GmqError, limits } from "@gmq/protocol";
import type { RedisOptions } from "ioredis";
import { createGroupCoordinator } from "../coordinator/group-coordinator.js";
import { createDeadLetters } from "../dead-letters/dead-letters.js";
import { createDelays } from "../delays/delays.js";
import type { Engine } from "../engine.js";
import { createEndOffsets } from "../log/end-offsets.js";
import { createFollows } from "../log/follows.js";
import { createJanitor } from "../retention/janitor.js";
import { checkStoreBytesMax, watchedTopics, withBudgetStatus } from "../retention/watched-topics.js";
import { openConnection, type RedisConnection } from "./connection.js";
import { createKeys, type Keys } from "./keys.js";
import { createRecentEntries } from "./recent-entries.js";
import { createRedisAppend } from "./redis-append.js";
import type { RedisClient, RedisNode, RedisTarget } from "./redis-client.js";
import { createRedisDelays } from "./redis-delays.js";
import { createRedisDocuments } from "./redis-documents.js";
import { groupOffsets } from "./redis-offsets.js";
import { createRedisOwnership } from "./redis-ownership.js";
import { createRedisReads } from "./redis-reads.js";
import { createRedisSignals } from "./redis-signals.js";
import { redisBytes, redisStatus } from "./redis-status.js";
import { createRedisTopics } from "./redis-topics.js";
import { createRedisTrims } from "./redis-trims.js";
import { createReplicaBarrier, type ReplicaBarrier } from "./replica-barrier.js";
import { loadScripts } from "./scripts.js";
import { checkServerVersion } from "./server-version.js";
import { checkFormat } from "./store-format.js";

export interface RedisEngineOptions {
  /** `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Default `redis://localhost:6379`. */
  readonly url?: string;
  /** Nodes of a Redis Cluster, in place of `url`; one that answers is enough, the others are found through it. Needs `redis.db` 0. */
  readonly cluster?: readonly RedisNode[] | undefined;
  /** Further options of ioredis: TLS, ACL user, Unix socket, `sentinels` with `name`. What GMQ depends on (queues, retries, re-sending) is set by GMQ. */
  readonly redis?: RedisOptions;
  /** First word of every key and channel, so that stores can share a Redis. Default `gmq`; letters, digits, `.`, `_`, `-`. */
  readonly prefix?: string;
  /**
   * Replicas that must have an append before it is answered (WAIT); 0 to 8, default 0: the master alone. While there are fewer, appends are stored and answered
   * `unknown_outcome`; sent again under the same number they are answered once the replicas are back.
   */
  readonly replicas?: number | undefined;
  /** How long they have; 1 to 8,000 ms, default 1,000. */
  readonly replicaTimeoutMs?: number | undefined;
  /** Memory of Redis (`used_memory`) from which on producers get `store_full`; 1 KiB or more. Default: Redis' own maxmemory, where it has one. */
  readonly storeBytesMax?: number | undefined;
  /** How often retention looks at every topic; default 10,000 ms. */
  readonly retentionIntervalMs?: number;
  readonly logger?: Logger;
}

const replicasMax = 8;
/** Below the time after which a command is given up. */
const replicaTimeoutMsMax = 8_000;

/**
 * Opens the engine over Redis or Valkey (docs/redis.md names the versions that were tried; a Redis before 6.2 is refused). Returns at once: `status().ready` tells when Redis answers, calls before that wait 2 s and
 * then fail with `store_unavailable`, and a lost connection comes back by itself.
 * @throws GmqError `invalid_argument` (url, prefix)
 */
export async function createRedisEngine(options: RedisEngineOptions = {}): Promise<Engine> {
  const { url = "redis://localhost:6379", prefix = "gmq", logger = silentLogger } = options;
  checkOptions(url, prefix);
  checkCluster(options);
  checkStoreBytesMax(options.storeBytesMax);
  const keys = createKeys(prefix);
  const { host, path, sentinels } = options.redis ?? {};
  const hasPlace = host !== undefined || path !== undefined || sentinels !== undefined;
  const target: RedisTarget = {
    url: options.url === undefined && hasPlace ? undefined : url,
    cluster: options.cluster,
    options: options.redis ?? {},
  };
  const verify = async (redis: RedisClient): Promise<void> => {
    await checkServerVersion(redis);
    await checkFormat(redis, keys);
  };
  // Appends and scripts on one connection, payload on its way out on another, so that neither waits behind the other's bytes; signals need a third.
  const commands = openConnection(target, "gmq-commands", logger, verify);
  const reading = openConnection(target, "gmq-reads", logger, verify);
  const subscriber = openConnection(target, "gmq-signals", logger);
  const connections = [commands, reading, subscriber];
  const barrier = openBarrier(options, keys, commands, (name) => {
    const connection = openConnection(target, name, logger);
    connections.push(connection);
    return connection;
  });

  const scripts = loadScripts();
  const signals = createRedisSignals(subscriber, commands, keys, logger);
  const topics = createRedisTopics(commands, scripts, keys, signals);
  const ends = createEndOffsets(signals);
  const recent = createRecentEntries({
    appendedBytesMax: limits.recentAppendedBytesMax,
    readBytesMax: limits.recentReadBytesMax,
    ageMsMax: limits.recentAgeMsMax,
    readMsMax: 2 * limits.safetyIntervalMsDefault,
    nowMs: () => performance.now(),
    generation: () => connections.reduce((sum, { generation }) => sum + generation, 0),
  });
  signals.subscribe(({ kind }) => {
    if (kind === "topic" || kind === "resync") recent.clear();
  });
  const reads = createRedisReads(reading, scripts, keys, topics, ends, recent);
  const ownership = createRedisOwnership(commands, scripts, keys, topics, reads, ends);
  const follows = createFollows(ownership.fetch, signals, ends);
  const appending = createRedisAppend(commands, scripts, keys, topics, signals, ends, recent, barrier, follows);
  // What waits for its time was admitted when it came: it goes into the log past the budgets.
  const delays = createDelays(
    createRedisDelays(commands, scripts, keys, barrier),
    appending.append,
    topics.check,
    Date.now,
    logger,
  );
  const log = { append: appending.append, read: reads.read };
  const deadLetters = createDeadLetters(ownership, log, topics, logger);
  const documents = createRedisDocuments(commands, scripts, keys, topics, reads, signals);
  const coordinator = createGroupCoordinator(documents, topics, signals);
  const janitor = createJanitor({
    topics,
    store: createRedisTrims(commands, scripts, keys, reads),
    append: delays.append,
    signals,
    measureStore: () => redisBytes(commands, options.storeBytesMax),
    nowMs: Date.now,
    logger,
    intervalMs: options.retentionIntervalMs,
  });
  let closed = false;
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    closed = true;
    follows.close();
    janitor.close();
    deadLetters.close();
    await delays.close();
    await appending.close();
    signals.close();
    for (const connection of connections) connection.close();
  }

  return {
    kind: "redis",
    topics: watchedTopics(topics, janitor.changed),
    log: { append: janitor.append, read: reads.read, purge: janitor.purge, scheduled: delays.scheduled },
    groups: {
      ...coordinator,
      async offsets(group) {
        const view = await coordinator.get(group);
        if (view === undefined) throw new GmqError("group_not_found", `there is no group ${group}`, { field: "group" });
        return groupOffsets(commands, scripts, keys, group, view.partitions);
      },
      fetch: ownership.fetch,
      follow: follows.follow,
      claim: deadLetters.claim,
      settle: deadLetters.settle,
    },
    signals,
    async status() {
      const status = withBudgetStatus(await redisStatus(commands, closed), janitor);
      return status.reason === "" && signals.problem !== undefined ? { ...status, reason: signals.problem } : status;
    },
    close: () => (closing ??= close()),
  };
}

/** @throws GmqError `invalid_argument` */
function openBarrier(
  { replicas = 0, replicaTimeoutMs = 1_000 }: RedisEngineOptions,
  keys: Keys,
  written: RedisConnection,
  open: (name: string) => RedisConnection,
): ReplicaBarrier | undefined {
  checkRange("replicas", replicas, 0, replicasMax);
  checkRange("replicaTimeoutMs", replicaTimeoutMs, 1, replicaTimeoutMsMax);
  if (replicas === 0) return undefined;
  return createReplicaBarrier(open("gmq-replicas"), written, keys, { replicas, timeoutMs: replicaTimeoutMs });
}

function checkRange(field: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new GmqError("invalid_argument", `${field} is ${value}`, { field, limit: `${min} to ${max}` });
}

function checkCluster({ url, cluster }: RedisEngineOptions): void {
  if (cluster === undefined) return;
  const limit = "1 node or more, and no url beside them";
  if (cluster.length === 0 || url !== undefined)
    throw new GmqError("invalid_argument", "the nodes of the Redis Cluster are not clear", { field: "cluster", limit });
}

function checkOptions(url: string, prefix: string): void {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    throw new GmqError("invalid_argument", "the Redis URL cannot be read", {
      field: "url",
      limit: "redis://[user:password@]host[:port][/database] or rediss://…",
    });
  }
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(prefix)) {
    throw new GmqError("invalid_argument", `the key prefix ${prefix} cannot be used`, {
      field: "prefix",
      limit: "1 to 64 of letters, digits, . _ -",
    });
  }
}
