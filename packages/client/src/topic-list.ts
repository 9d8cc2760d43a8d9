import { isTopicPattern, topicPattern } from "@gmq/protocol/portable";
import { type TopicLike, topicOf, type ValueCodec } from "./topic.js";

/** What a consumer subscribes to: a topic, several, or patterns such as `orders.*` (also as the name of a typed topic) in place of names. */
export type TopicsLike<In, Out> = TopicLike<In, Out> | readonly TopicLike<In, Out>[];

/** Topics and patterns of a subscription. */
export interface TopicList<Out> {
  readonly names: readonly string[];
  /** The codec of the topic with this name; of several that match, the one named, else the first pattern. */
  codecOf(topic: string): ValueCodec<unknown, Out>;
}

/** Reads what the user gave. @throws GmqError `invalid_name` for a pattern that is none */
export function topicListOf<In, Out>(like: TopicsLike<In, Out>): TopicList<Out> {
  const given: readonly TopicLike<In, Out>[] = Array.isArray(like) ? like : [like as TopicLike<In, Out>];
  const topics = given.map((one) => topicOf<In, Out>(one));
  const codecs = new Map<string, ValueCodec<unknown, Out>>();
  const patterns: { readonly test: (topic: string) => boolean; readonly codec: ValueCodec<unknown, Out> }[] = [];
  for (const { name, codec } of topics) {
    const known = codec as ValueCodec<unknown, Out>;
    if (isTopicPattern(name)) patterns.push({ test: topicPattern(name), codec: known });
    else codecs.set(name, known);
  }
  const first = topics[0]?.codec as ValueCodec<unknown, Out>;
  return {
    names: topics.map(({ name }) => name),
    codecOf(topic) {
      const known = codecs.get(topic);
      if (known !== undefined) return known;
      const codec = patterns.find(({ test }) => test(topic))?.codec ?? first;
      codecs.set(topic, codec);
      return codec;
    },
  };
}
