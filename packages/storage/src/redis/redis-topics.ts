import { checkName, decodeEntryMeta, GmqError } from "@gmq/protocol";
import type { PartitionStats, TopicConfig, TopicInfo, TopicPartition, TopicStore } from "../engine.js";
import { bodyBytesOf } from "../log/entry-bytes.js";
import { checkPartitions, checkTopicConfig, checkTopicSettings } from "../retention/topic-config.js";
import { emptyEnds, type LogEnds } from "../retention/trim-store.js";
import type { RedisConnection } from "./connection.js";
import { baseOffsetOfId, type Keys } from "./keys.js";
import { createPartitionLives } from "./partition-lives.js";
import { rethrow } from "./redis-errors.js";
import type { RedisSignals } from "./redis-signals.js";
import { itemsOf, type Scripts, textOf } from "./scripts.js";
import { storeTimeMs } from "./store-clock.js";

/** Topics of a Redis store: one hash, and a stream for each partition. */
export interface RedisTopics extends TopicStore {
  /** The topic as this process remembers it since the last topic signal. @throws `topic_not_found` */
  known(topic: string): Promise<TopicInfo>;
  /** @throws `topic_not_found`, `partition_not_found` */
  check(partition: TopicPartition): Promise<void>;
  /** Makes a partition's stream again when its topic exists after all. False: the topic is gone. */
  restoreStream(partition: TopicPartition): Promise<boolean>;
}

/** Attempts to add partitions, or to delete, while others change the topic. */
const attemptsMax = 16;

/** Makes the topic store. */
export function createRedisTopics(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  signals: RedisSignals,
): RedisTopics {
  const lives = createPartitionLives(connection, scripts, keys);
  const remembered = new Map<string, TopicInfo>();
  const lookups = new Map<string, Promise<TopicInfo>>();
  let lastMadeMs = 0;
  /** Topic signals so far: what was asked before one, and is answered after it, may be older than what it told of. */
  let changes = 0;
  signals.subscribe((signal) => {
    if (signal.kind === "topic") {
      remembered.delete(signal.topic);
      lookups.delete(signal.topic);
    } else if (signal.kind === "resync") {
      remembered.clear();
      lookups.clear();
    } else return;
    changes++;
  });

  /** `before`: the changes when Redis was asked. */
  function remember(info: TopicInfo, before: number): void {
    if (changes === before) remembered.set(info.name, info);
  }

  async function get(name: string): Promise<TopicInfo | undefined> {
    const before = changes;
    const text = await connection.run((redis) => redis.hget(keys.topics, name)).catch(rethrow);
    if (text === null) {
      remembered.delete(name);
      checkName("topic", name);
      return undefined;
    }
    const info = topicOf(name, text);
    remember(info, before);
    lastMadeMs = Math.max(lastMadeMs, info.createdAtMs);
    return info;
  }

  /** Each topic's making has a time of its own by the store's clock: it tells the lives of a topic apart. */
  async function nextMakingMs(): Promise<number> {
    const nowMs = Math.floor(await connection.run(storeTimeMs).catch(rethrow));
    lastMadeMs = Math.max(nowMs, lastMadeMs + 1);
    return lastMadeMs;
  }

  async function existing(name: string): Promise<TopicInfo> {
    const info = await get(name);
    if (info === undefined) throw new GmqError("topic_not_found", `there is no topic ${name}`, { field: "topic" });
    return info;
  }

  /** Makes the stream of a partition of the topic as it was made then. False: the topic was made again since. */
  function makeStream(partition: TopicPartition, { createdAtMs }: TopicInfo): Promise<boolean> {
    return lives.make(partition, createdAtMs, async () => (await get(partition.topic))?.createdAtMs === createdAtMs);
  }

  /** Takes away what a life of a topic had, and tells when it is gone: who hears of it may make the topic again. */
  async function dropStreams({ name, config, createdAtMs }: TopicInfo): Promise<void> {
    const partitions = Array.from({ length: config.partitions }, (_, partition) => ({ topic: name, partition }));
    try {
      await Promise.all(partitions.map((partition) => lives.drop(partition, createdAtMs)));
    } finally {
      signals.send({ kind: "topic", topic: name });
    }
  }

  /** Who comes while the topic is looked up waits for the same answer: nobody overtakes who asked first. */
  function known(name: string): Promise<TopicInfo> {
    const running = lookups.get(name);
    if (running !== undefined) return running;
    const info = remembered.get(name);
    if (info !== undefined) return Promise.resolve(info);
    const lookup = existing(name);
    lookups.set(name, lookup);
    const forget = (): void => {
      if (lookups.get(name) === lookup) lookups.delete(name);
    };
    lookup.then(forget, forget);
    return lookup;
  }

  async function stored(name: string): Promise<{ readonly text: string; readonly info: TopicInfo }> {
    const text = await connection.run((redis) => redis.hget(keys.topics, name)).catch(rethrow);
    if (text === null) throw new GmqError("topic_not_found", `there is no topic ${name}`, { field: "topic" });
    return { text, info: topicOf(name, text) };
  }

  /** False: somebody else changed the topic since `text` was read. */
  async function replace(text: string, next: TopicInfo): Promise<boolean> {
    const before = changes;
    const args = [next.name, text, textOfTopic(next)];
    if ((await scripts.run(connection, "alter-topic", [keys.topics], args).catch(rethrow)) !== 1) return false;
    remember(next, before);
    signals.send({ kind: "topic", topic: next.name });
    return true;
  }

  return {
    async create(name, asked) {
      checkName("topic", name);
      const config = checkTopicConfig(asked);
      const exists = new GmqError("topic_exists", `the topic ${name} exists already`, { field: "topic" });
      if ((await get(name)) !== undefined) throw exists;
      const createdAtMs = await nextMakingMs();
      const before = changes;
      const info: TopicInfo = { name, config, createdAtMs, version: createdAtMs };
      // The name first: who makes streams takes away what an earlier life left, and that must not be a topic which somebody else has just made.
      const made = await connection.run((redis) => redis.hsetnx(keys.topics, name, textOfTopic(info))).catch(rethrow);
      if (made === 0) throw exists;
      // Whoever sees the topic before its streams are there makes the one that he needs (`restoreStream`).
      await Promise.all(
        Array.from({ length: config.partitions }, (_, partition) => makeStream({ topic: name, partition }, info)),
      );
      remember(info, before);
      signals.send({ kind: "topic", topic: name });
      return info;
    },

    get,

    async list() {
      const all = await connection.run((redis) => redis.hgetall(keys.topics)).catch(rethrow);
      return Object.entries(all)
        .map(([name, text]) => topicOf(name, text))
        .sort((one, other) => (one.name < other.name ? -1 : 1));
    },

    async delete(name) {
      checkName("topic", name);
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const { text, info } = await stored(name);
        const gone = await scripts.run(connection, "alter-topic", [keys.topics], [name, text, ""]).catch(rethrow);
        if (gone !== 1) continue;
        remembered.delete(name);
        return dropStreams(info);
      }
      throw changedMeanwhile(name);
    },

    async stats(name) {
      const { config } = await existing(name);
      const all = Array.from({ length: config.partitions }, async (_, partition): Promise<PartitionStats> => {
        const ends = await readEnds(connection, scripts, keys, { topic: name, partition });
        const { startOffset, endOffset, entries, lastAppendMs, bytes, firstAppendMs } = ends;
        return { partition, startOffset, endOffset, entries, lastAppendMs, bytes, firstAppendMs };
      });
      return Promise.all(all);
    },

    async alter(name, asked, version) {
      checkName("topic", name);
      const settings = checkTopicSettings(asked);
      const { text, info } = await stored(name);
      if (info.version !== version) throw changedMeanwhile(name);
      const next = { ...info, config: { partitions: info.config.partitions, ...settings }, version: nextVersion(info) };
      if (!(await replace(text, next))) throw changedMeanwhile(name);
      return next;
    },

    async addPartitions(name, partitions) {
      checkName("topic", name);
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const { text, info } = await stored(name);
        const before = info.config.partitions;
        checkPartitions(partitions, before + 1);
        // Streams first: a partition that can be seen can be appended to.
        const added = Array.from({ length: partitions - before }, (_, index) => before + index);
        await Promise.all(added.map((partition) => makeStream({ topic: name, partition }, info)));
        const next = { ...info, config: { ...info.config, partitions }, version: nextVersion(info) };
        if (await replace(text, next)) return next;
      }
      throw changedMeanwhile(name);
    },

    known,

    async check({ topic, partition }) {
      const has = ({ config }: TopicInfo): boolean => partition >= 0 && partition < config.partitions;
      if (has(await known(topic))) return;
      // It may have grown in another process a moment ago, whose signal is on its way.
      const now = await existing(topic);
      if (has(now)) return;
      throw new GmqError("partition_not_found", `the topic ${topic} has no partition ${partition}`, {
        field: "partition",
        limit: `0 to ${now.config.partitions - 1}`,
      });
    },

    async restoreStream(partition) {
      const info = await get(partition.topic);
      if (info === undefined || partition.partition >= info.config.partitions) return false;
      return makeStream(partition, info);
    },
  };
}

/** Reads where a stream begins and ends. */
export async function readEnds(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  partition: TopicPartition,
): Promise<LogEnds & { readonly entries: number }> {
  const reply = itemsOf(await scripts.run(connection, "ends", [keys.log(partition)], []).catch(rethrow));
  const entries = Number(reply[0]);
  if (entries <= 0) return { ...emptyEnds, entries: 0 };
  const [, first, last, count, meta, firstMeta] = reply;
  const newest = decodeEntryMeta(meta as Buffer);
  const oldest = decodeEntryMeta(firstMeta as Buffer);
  const logBytes = newest.logBytes + bodyBytesOf(newest);
  const lastBaseOffset = baseOffsetOfId(last as Buffer);
  return {
    entries,
    isEmpty: false,
    startOffset: baseOffsetOfId(first as Buffer),
    lastBaseOffset,
    endOffset: lastBaseOffset + BigInt(textOf(count)),
    firstAppendMs: oldest.appendTimeMs,
    lastAppendMs: newest.appendTimeMs,
    bytes: logBytes - oldest.logBytes,
    logBytes,
  };
}

function textOfTopic({ config, createdAtMs, version }: TopicInfo): string {
  return JSON.stringify({ ...config, createdAtMs, version });
}

function topicOf(name: string, text: string): TopicInfo {
  const { createdAtMs, version, ...config } = JSON.parse(text) as TopicConfig & {
    readonly createdAtMs: number;
    readonly version: number;
  };
  return { name, config, createdAtMs, version };
}

/** Above the old one, and above that of a topic of this name that was made before it. */
function nextVersion({ version }: TopicInfo): number {
  return Math.max(version + 1, Date.now());
}

function changedMeanwhile(name: string): GmqError {
  return new GmqError("conflict", `the topic ${name} was changed meanwhile`, { field: "version" });
}
