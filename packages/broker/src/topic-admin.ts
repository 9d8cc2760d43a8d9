/** AdminService for topics: making, changing, measuring and trimming them. */
import type { ServiceImpl } from "@connectrpc/connect";
import { checkName, GmqError, limits } from "@gmq/protocol";
import type { AdminService } from "@gmq/protocol/messages";
import type { Engine, TopicInfo } from "@gmq/storage";
import { configFromMessage, purgedToMessage, statsToMessage, topicToMessage } from "@gmq/storage/wire";

/** The calls of the service that are about topics. */
export type TopicAdmin = Pick<
  ServiceImpl<typeof AdminService>,
  "createTopic" | "listTopics" | "describeTopic" | "deleteTopic" | "alterTopic" | "addPartitions" | "purgeTopic"
>;

/** Makes the calls over an engine. `changed` hears of a topic that is another one now, before the caller does: what he sends next must not meet what was. */
export function createTopicAdmin(
  { topics, log }: Pick<Engine, "topics" | "log">,
  defaultPartitions: number,
  changed: (topic: string) => void,
): TopicAdmin {
  async function existing(topic: string): Promise<TopicInfo> {
    const info = await topics.get(checkName("topic", topic));
    if (info === undefined) throw new GmqError("topic_not_found", `there is no topic ${topic}`, { field: "topic" });
    return info;
  }

  return {
    async createTopic({ topic, config }) {
      const { partitions: asked, ...settings } = configFromMessage(config);
      const partitions = asked === 0 ? defaultPartitions : asked;
      const made = await topics.create(checkName("topic", topic), { partitions, ...settings });
      return { topic: topicToMessage(made) };
    },
    async listTopics() {
      return { topics: (await topics.list()).map(topicToMessage) };
    },
    async describeTopic({ topic }) {
      const info = await existing(topic);
      return { topic: topicToMessage(info), partitions: (await topics.stats(topic)).map(statsToMessage) };
    },
    async deleteTopic({ topic }) {
      await topics.delete(checkName("topic", topic));
      changed(topic);
      return {};
    },
    async alterTopic({ topic, config, version }) {
      const { partitions: _fixed, ...settings } = configFromMessage(config);
      const altered = await topics.alter(checkName("topic", topic), settings, Number(version));
      changed(topic);
      return { topic: topicToMessage(altered) };
    },
    async addPartitions({ topic, partitions, dryRun }) {
      const info = await existing(topic);
      const before = info.config.partitions;
      if (partitions <= before || partitions > limits.partitionsMax) {
        throw new GmqError(
          "invalid_argument",
          `the topic ${topic} has ${before} partitions, and cannot have ${partitions}`,
          {
            field: "partitions",
            limit: `${before + 1} to ${limits.partitionsMax}`,
          },
        );
      }
      const grown = dryRun ? info : await topics.addPartitions(topic, partitions);
      if (!dryRun) changed(topic);
      return { topic: topicToMessage(grown), warning: movedKeys(before, partitions) };
    },
    async purgeTopic({ topic, partition, toOffset, dryRun }) {
      const done = await log.purge({ topic: checkName("topic", topic), partition, toOffset, dryRun });
      return { partitions: done.map(purgedToMessage) };
    },
  };
}

/**
 * Which keys go elsewhere when a topic grows. Of the residues modulo the least common multiple, exactly `before` are the same modulo both counts.
 */
export function movedKeys(before: number, after: number): string {
  const share = Math.round((1 - (before * greatestCommonDivisor(before, after)) / (before * after)) * 100);
  return (
    `keys whose hash modulo ${after} differs from that modulo ${before} go to another partition from now on (about ${share} % of all keys); ` +
    "records that are stored stay where they are, so a moved key's older and newer records are in two partitions, without an order between them"
  );
}

function greatestCommonDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestCommonDivisor(other, one % other);
}
