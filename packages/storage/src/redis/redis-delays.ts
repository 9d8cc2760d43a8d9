import type { DelayStore } from "../delays/delay-store.js";
import type { TopicPartition } from "../engine.js";
import type { RedisConnection } from "./connection.js";
import type { Keys } from "./keys.js";
import { fromRedisError, rethrow } from "./redis-errors.js";
import type { ReplicaBarrier } from "./replica-barrier.js";
import type { Scripts } from "./scripts.js";
import { storeTimeMs } from "./store-clock.js";

/** Partitions looked at in one turn. */
const partitionsMax = 64;
/** A partition without anything delayed is looked at this often: that costs less than making its removal from the index safe. */
const emptyLookMs = 60 * 60 * 1_000;

/**
 * Delayed batches in Redis: per partition a hash (id → batch) and a sorted set (id → time), and one sorted set (partition → its earliest time) that all
 * processes look at. An id is written to the hash first and to the index last, so that what the index names is there.
 */
export function createRedisDelays(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  barrier: ReplicaBarrier | undefined,
): DelayStore {
  const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

  async function nowMs(): Promise<number> {
    return Math.floor(await connection.run(storeTimeMs));
  }

  async function run(name: "index-delay" | "raise-delay", ...args: string[]): Promise<void> {
    await scripts.run(connection, name, [keys.delayedPartitions], args).catch(rethrow);
  }

  async function earliestOf(partition: TopicPartition): Promise<number | undefined> {
    const [, score] = await connection.run((redis) => redis.zrange(keys.due(partition), "0", "0", "WITHSCORES"));
    return score === undefined ? undefined : Number(score);
  }

  return {
    async put(partition, id, dueMs, batch) {
      const since = barrier?.generation ?? 0;
      await connection
        .run(async (redis) => {
          await redis.hsetnx(
            keys.delayed(partition),
            id,
            Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength),
          );
          await redis.zadd(keys.due(partition), "NX", dueMs, id);
        })
        .catch(rethrow);
      await run("index-delay", nameOf(partition), String(dueMs));
      await barrier?.reached(partition, since);
    },

    async look() {
      try {
        const now = await nowMs();
        const names = await connection.run((redis) =>
          redis.zrangebyscore(keys.delayedPartitions, "-inf", now, "LIMIT", 0, partitionsMax),
        );
        const [, next] = await connection.run((redis) =>
          redis.zrangebyscore(keys.delayedPartitions, `(${now}`, "+inf", "WITHSCORES", "LIMIT", 0, 1),
        );
        return { due: names.map(partitionOf), nextInMs: next === undefined ? undefined : Number(next) - now };
      } catch (error) {
        throw fromRedisError(error);
      }
    },

    async due(partition, max) {
      try {
        const now = await nowMs();
        const ids = await connection.run((redis) =>
          redis.zrangebyscore(keys.due(partition), "-inf", now, "LIMIT", 0, max),
        );
        if (ids.length === 0) {
          await this.remove(partition, []);
          return [];
        }
        const batches = await connection.run((redis) => redis.hmgetBuffer(keys.delayed(partition), ...ids));
        const found = ids.flatMap((id, index) => {
          const batch = batches[index];
          return batch == null ? [] : [{ id, batch }];
        });
        // Another process removed them from the hash and not yet from the set.
        const gone = ids.filter((_, index) => batches[index] == null);
        if (gone.length > 0) await this.remove(partition, gone);
        return found;
      } catch (error) {
        throw fromRedisError(error);
      }
    },

    async waiting(partition) {
      try {
        const [batches, nextMs] = await Promise.all([
          connection.run((redis) => redis.zcard(keys.due(partition))),
          earliestOf(partition),
        ]);
        return { batches, nextInMs: nextMs === undefined ? undefined : Math.max(0, nextMs - (await nowMs())) };
      } catch (error) {
        throw fromRedisError(error);
      }
    },

    async remove(partition, ids) {
      try {
        if (ids.length > 0) {
          await connection.run((redis) => redis.hdel(keys.delayed(partition), ...ids));
          await connection.run((redis) => redis.zrem(keys.due(partition), ...ids));
        }
        const name = nameOf(partition);
        const seen = (await connection.run((redis) => redis.zscore(keys.delayedPartitions, name))) ?? "";
        const next = (await earliestOf(partition)) ?? (await nowMs()) + emptyLookMs;
        // What is kept meanwhile notes itself: then the partition is looked at again.
        await run("raise-delay", name, seen, String(next));
        // A process of an earlier version may have noted itself without a change of the score.
        const again = await earliestOf(partition);
        if (again !== undefined && again < next) await run("index-delay", name, String(again));
      } catch (error) {
        throw fromRedisError(error);
      }
    },
  };
}

function partitionOf(name: string): TopicPartition {
  const slash = name.lastIndexOf("/");
  return { topic: name.slice(0, slash), partition: Number(name.slice(slash + 1)) };
}
