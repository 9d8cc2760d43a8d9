import { deadLetterTopic, GmqError } from "@gmq/protocol";
import type { TopicStore } from "../engine.js";

/** The dead-letter topics of a store. */
export interface DeadLetterTopics {
  /** Where the dead letters of a group's partition go; the topic is made when there is none, with as many partitions as the origin. @throws the store's errors, `topic_not_found` (origin) */
  placeFor(origin: { readonly topic: string; readonly partition: number; readonly group: string }): Promise<{
    readonly topic: string;
    readonly partition: number;
  }>;
  /** The topic of this name is not what it was. */
  forget(name: string): void;
}

/** Names remembered with their partitions; past it all are looked up again. */
const topicsMax = 10_000;

/** Makes the look-up over a topic store. */
export function createDeadLetterTopics(topics: Pick<TopicStore, "get" | "create">): DeadLetterTopics {
  const partitionsByName = new Map<string, number>();

  async function partitionsOf(name: string, originName: string): Promise<number> {
    const found = await topics.get(name);
    if (found !== undefined) return found.config.partitions;
    const origin = await topics.get(originName);
    if (origin === undefined)
      throw new GmqError("topic_not_found", `there is no topic ${originName}`, { field: "topic" });
    try {
      return (await topics.create(name, { partitions: origin.config.partitions })).config.partitions;
    } catch (error) {
      // Another process made it first.
      const made = GmqError.is(error, "topic_exists") ? await topics.get(name) : undefined;
      if (made === undefined) throw error;
      return made.config.partitions;
    }
  }

  return {
    async placeFor({ topic: origin, partition, group }) {
      const topic = deadLetterTopic(origin, group);
      let partitions = partitionsByName.get(topic);
      if (partitions === undefined) {
        partitions = await partitionsOf(topic, origin);
        if (partitionsByName.size >= topicsMax) partitionsByName.clear();
        partitionsByName.set(topic, partitions);
      }
      return { topic, partition: partition % partitions };
    },
    forget: (name) => void partitionsByName.delete(name),
  };
}
