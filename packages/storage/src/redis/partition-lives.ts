import type { TopicPartition } from "../engine.js";
import type { RedisConnection } from "./connection.js";
import type { Keys } from "./keys.js";
import { rethrow } from "./redis-errors.js";
import { type Scripts, textOf } from "./scripts.js";

/**
 * What a partition has in Redis comes and goes with a life of its topic, named by when the topic was made. The topics' hash lies in another slot, so each partition
 * writes its life down beside its log: a deletion that comes late leaves alone what a topic of the same name has stored since.
 */
export interface PartitionLives {
  /** Makes an empty stream, unless this life has one. False: a later life has begun there. */
  make(partition: TopicPartition, life: number, isCurrent: () => Promise<boolean>): Promise<boolean>;
  /** Takes away everything that the partition had in this life. */
  drop(partition: TopicPartition, life: number): Promise<void>;
}

/** Makes it. */
export function createPartitionLives(connection: RedisConnection, scripts: Scripts, keys: Keys): PartitionLives {
  /** Everything that a partition may have, the sides of all groups too. */
  async function allKeys(partition: TopicPartition): Promise<string[]> {
    const groups = await connection.run((redis) => redis.smembers(keys.groups)).catch(rethrow);
    return [
      keys.log(partition),
      keys.life(partition),
      keys.producers(partition),
      keys.delayed(partition),
      keys.due(partition),
      keys.barrier(partition),
      ...groups.flatMap((group) => keys.groupSide(partition, group)),
    ];
  }

  async function run(name: "make-partition" | "drop-partition", names: string[], args: string[]): Promise<string> {
    return textOf(await scripts.run(connection, name, names, args).catch(rethrow));
  }

  return {
    async make(partition, life, isCurrent) {
      const args = [String(life), ""];
      let made = await run("make-partition", [keys.log(partition), keys.life(partition)], args);
      if (made === "later") {
        if (!(await isCurrent())) return false;
        args[1] = "1";
      }
      if (made === "later" || made === "earlier") made = await run("make-partition", await allKeys(partition), args);
      return made !== "later";
    },
    async drop(partition, life) {
      await run("drop-partition", await allKeys(partition), [String(life)]);
    },
  };
}
