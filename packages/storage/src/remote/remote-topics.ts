import { GmqError } from "@gmq/protocol";
import type { TopicInfo as TopicMessage } from "@gmq/protocol/messages";
import type { TopicInfo, TopicStore } from "../engine.js";
import { checkTopicConfig } from "../retention/topic-config.js";
import { configToMessage, statsFromMessage, topicFromMessage } from "../wire/topic-messages.js";
import type { Links } from "./links.js";

/** Topics over links; any service answers. */
export function createRemoteTopics(links: Links): TopicStore {
  const client = async () => (await links.for("topics")).client;

  return {
    async create(name, asked) {
      // Here too: what is no number of partitions at all cannot be written down.
      const config = checkTopicConfig(asked);
      return topicOf(await (await client()).createTopic({ topic: name, config: configToMessage(config) }));
    },
    async alter(name, settings, version) {
      const config = configToMessage({ partitions: 0, ...settings });
      return topicOf(await (await client()).alterTopic({ topic: name, config, version: BigInt(version) }));
    },
    async addPartitions(name, partitions) {
      return topicOf(await (await client()).addPartitions({ topic: name, partitions }));
    },
    async get(name) {
      const { topic } = await (await client()).getTopic({ topic: name });
      return topic === undefined ? undefined : topicFromMessage(topic);
    },
    async list() {
      return (await (await client()).listTopics({})).topics.map(topicFromMessage);
    },
    async delete(name) {
      await (await client()).deleteTopic({ topic: name });
    },
    async stats(name) {
      return (await (await client()).getPartitionStats({ topic: name })).partitions.map(statsFromMessage);
    },
  };
}

function topicOf({ topic }: { readonly topic?: TopicMessage }): TopicInfo {
  if (topic === undefined) throw new GmqError("internal", "the service answered without the topic");
  return topicFromMessage(topic);
}
