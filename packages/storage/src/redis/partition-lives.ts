import { GmqError } from "@gmq/protocol";
import type { TopicPartition } from "../engine.js";
import type { RedisConnection } from "./connection.js";
import type { Keys } from "./keys.js";
import { rethrow } from "./redis-errors.js";
import { itemsOf, type ScriptName, type Scripts, textOf } from "./scripts.js";

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

/** How often a group may begin while the partition's keys are put together. */
const attemptsMax = 20;

/** Makes it. */
export function createPartitionLives(connection: RedisConnection, scripts: Scripts, keys: Keys): PartitionLives {
  async function run(name: ScriptName, names: readonly string[], args: readonly string[]) {
    return scripts.run(connection, name, names, args).catch(rethrow);
  }

  /** Runs a script on everything that the partition has, again while it answers that more has come since. */
  async function onAllKeys(
    name: "make-partition" | "drop-partition",
    partition: TopicPartition,
    args: readonly string[],
    more: string,
  ): Promise<string> {
    const [log, written] = [keys.log(partition), keys.groupsOf(partition)];
    const own = [keys.producers(partition), keys.delayed(partition), keys.due(partition), keys.barrier(partition)];
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const [count, ...groups] = itemsOf(await run("groups-of-partition", [log, written], []));
      const ofGroups = groups.flatMap((group) => keys.groupSide(partition, textOf(group)));
      const names = [log, keys.life(partition), written, ...own, ...ofGroups];
      const answer = textOf(await run(name, names, [...args, String(count)]));
      if (answer !== more) return answer;
    }
    throw new GmqError("conflict", `groups begin in ${partition.topic}/${partition.partition} while it is taken away`);
  }

  return {
    async make(partition, life, isCurrent) {
      const args = [String(life), ""];
      const names = [keys.log(partition), keys.life(partition), keys.groupsOf(partition)];
      let made = textOf(await run("make-partition", names, [...args, ""]));
      if (made === "later") {
        if (!(await isCurrent())) return false;
        args[1] = "1";
      }
      if (made === "later" || made === "earlier") made = await onAllKeys("make-partition", partition, args, "earlier");
      return made !== "later";
    },
    async drop(partition, life) {
      await onAllKeys("drop-partition", partition, [String(life)], "more");
    },
  };
}
