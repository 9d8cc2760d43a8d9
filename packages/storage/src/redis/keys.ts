import type { TopicPartition } from "../engine.js";

/** Names of every key and channel of a store. Keys of one partition share a hash tag, keys of one group another: each script stays in one slot. */
export interface Keys {
  /** Hash: topic → its description as JSON. */
  readonly topics: string;
  /** Set: groups. */
  readonly groups: string;
  /** Hash: format version of the store. */
  readonly format: string;
  /** Stream: the partition's entries. */
  log(partition: TopicPartition): string;
  /** String: when the topic was made that the partition's keys belong to, in ms: what a deletion or a making that comes late must not touch. */
  life(partition: TopicPartition): string;
  /** Set: groups that have begun in the partition. */
  groupsOf(partition: TopicPartition): string;
  /** Hash: `upTo` offset and `table` of the producer snapshot. */
  producers(partition: TopicPartition): string;
  /** Hash: `epoch`, `owner`, `position`, `unsettled` of a group in a partition. */
  progress(partition: TopicPartition, group: string): string;
  /** Hash: base offset → record count, or one state character a record once partly settled. */
  pending(partition: TopicPartition, group: string): string;
  /** Hash: offset → `<attempts> <due time in ms> <releases>`. */
  retries(partition: TopicPartition, group: string): string;
  /** Hash: offset → `<attempts> <time in ms> <reason and error text as JSON>` of a rejected record whose copy is owed. */
  rejections(partition: TopicPartition, group: string): string;
  /** All that a group has in a partition, in the order in which scripts take it: progress, pending, retries, rejections. */
  groupSide(partition: TopicPartition, group: string): [string, string, string, string];
  /** Written before replicas are waited for; of a partition where there are several masters. */
  barrier(partition: TopicPartition | undefined): string;
  /** Hash: id → batch that waits for its time. */
  delayed(partition: TopicPartition): string;
  /** Sorted set: id → time in ms. */
  due(partition: TopicPartition): string;
  /** Sorted set: partition → earliest time of what waits in it, in ms. */
  readonly delayedPartitions: string;
  /** Hash: `version` and `document` of a group. */
  group(group: string): string;
  /** Sorted set: session → deadline in ms by the store's clock. */
  sessions(group: string): string;
  /** Channel pattern of every signal. */
  readonly signals: string;
  /** Channel that everybody listens to who listens to `signals`: shows whether anybody does. Nothing is said on it. */
  readonly listeners: string;
  /** The same of one listener. */
  listener(id: string): string;
  partitionSignal(partition: TopicPartition): string;
  groupSignal(group: string): string;
  topicSignal(topic: string): string;
}

/** Makes the names for a prefix. User-given names hold no braces, colons, slashes or globs, so none can reach another key. */
export function createKeys(prefix: string): Keys {
  const place = ({ topic, partition }: TopicPartition): string => `${prefix}:{${topic}/${partition}}`;
  const keys: Keys = {
    topics: `${prefix}:topics`,
    groups: `${prefix}:groups`,
    format: `${prefix}:format`,
    log: (partition) => `${place(partition)}:log`,
    life: (partition) => `${place(partition)}:life`,
    groupsOf: (partition) => `${place(partition)}:groups`,
    producers: (partition) => `${place(partition)}:producers`,
    progress: (partition, group) => `${place(partition)}:group:${group}`,
    pending: (partition, group) => `${place(partition)}:pending:${group}`,
    retries: (partition, group) => `${place(partition)}:retries:${group}`,
    rejections: (partition, group) => `${place(partition)}:rejections:${group}`,
    groupSide: (partition, group) => [
      keys.progress(partition, group),
      keys.pending(partition, group),
      keys.retries(partition, group),
      keys.rejections(partition, group),
    ],
    barrier: (partition) => (partition === undefined ? `${prefix}:barrier` : `${place(partition)}:barrier`),
    delayed: (partition) => `${place(partition)}:delayed`,
    due: (partition) => `${place(partition)}:due`,
    delayedPartitions: `${prefix}:delayed`,
    group: (group) => `${prefix}:{group/${group}}:state`,
    sessions: (group) => `${prefix}:{group/${group}}:sessions`,
    signals: `${prefix}:signal:*`,
    listeners: `${prefix}:signal:listeners`,
    listener: (id) => `${prefix}:signal:listener:${id}`,
    partitionSignal: ({ topic, partition }) => `${prefix}:signal:p:${topic}/${partition}`,
    groupSignal: (group) => `${prefix}:signal:g:${group}`,
    topicSignal: (topic) => `${prefix}:signal:t:${topic}`,
  };
  return keys;
}

/** Id of the entry at a base offset. Redis refuses an id that is not above the last: that is the append's compare-and-set. */
export function entryId(baseOffset: bigint): string {
  return `${baseOffset}-1`;
}

/** Base offset of an entry id. */
export function baseOffsetOfId(id: Buffer | string): bigint {
  const text = typeof id === "string" ? id : id.toString("latin1");
  return BigInt(text.slice(0, text.indexOf("-")));
}
