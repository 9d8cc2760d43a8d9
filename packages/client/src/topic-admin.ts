/** Administration of topics: making, changing, measuring and trimming them. */
import { GmqError, limits } from "@gmq/protocol";
import type { PartitionStats, TopicConfig, TopicInfo as TopicMessage } from "@gmq/protocol/messages";
import type { CallOptions } from "./call-options.js";
import { checkObject, checkOffset, checkPartition, checkTimeout, inRange } from "./checked-values.js";
import { type AdminCall, callTimeoutMsDefault } from "./group-admin.js";

/** What of a partition is kept; any of the bounds lets the oldest go, and the last batch always stays. */
export interface Retention {
  /** Records older than this go, by the time when they were stored; up to 100 years. */
  readonly ms?: number;
  /** The last so many bytes of each partition are kept, as stored (compressed ones count compressed). */
  readonly bytes?: number;
  /** The last so many records of each partition are kept. */
  readonly records?: number;
  /** True: a record goes once every group has settled it; nothing goes while the topic has no group. Default false. */
  readonly workQueue?: boolean;
}

/** What of a topic can be changed while it lives. */
export interface TopicSettings {
  /** Default: records are kept for good. */
  readonly retention?: Retention;
  /** Bytes of all partitions together: from 90 % on producers are slowed, at it refused with `topic_full` until there is room. Default: no bound. */
  readonly bytesMax?: number;
}

export interface TopicDescription extends TopicSettings {
  readonly name: string;
  readonly partitions: number;
  readonly createdAt: Date;
  /** Grows with each change of the topic. */
  readonly version: bigint;
}

export interface PartitionDescription {
  readonly partition: number;
  /** First offset still kept. */
  readonly startOffset: bigint;
  /** Offset that the next record gets. */
  readonly endOffset: bigint;
  /** Batches kept. */
  readonly entries: bigint;
  /** Bytes of the records kept, as stored. */
  readonly bytes: bigint;
  readonly firstAppend: Date | undefined;
  readonly lastAppend: Date | undefined;
}

/** What a purge did to a partition, or with `dryRun` would do. */
export interface PurgedPartition {
  readonly partition: number;
  readonly startBefore: bigint;
  readonly startAfter: bigint;
  /** Groups that had not settled all of it. */
  readonly losses: readonly { readonly group: string; readonly records: bigint }[];
}

export interface PurgeOptions extends CallOptions {
  /** The first offset to keep, rounded down to the beginning of its batch; past the end: all but the last batch goes. */
  readonly toOffset: bigint;
  /** Default: every partition. */
  readonly partition?: number;
  /** Tells what would happen, and changes nothing. */
  readonly dryRun?: boolean;
}

export interface TopicAdmin {
  /** @throws GmqError `topic_exists`, `invalid_name`, `invalid_argument` */
  createTopic(
    name: string,
    options?: CallOptions & TopicSettings & { readonly partitions?: number },
  ): Promise<TopicDescription>;
  listTopics(options?: CallOptions): Promise<TopicDescription[]>;
  /** @throws GmqError `topic_not_found` */
  describeTopic(
    name: string,
    options?: CallOptions,
  ): Promise<TopicDescription & { readonly partitionStats: readonly PartitionDescription[] }>;
  /** Deletes the topic, its records and every group's state of it. @throws GmqError `topic_not_found` */
  deleteTopic(name: string, options?: CallOptions): Promise<void>;
  /**
   * Replaces what is named and leaves the rest as it is; null takes it away. With `version` only if the topic has not changed since.
   * @throws GmqError `topic_not_found`, `invalid_argument`, `conflict` (somebody else changed it)
   */
  alterTopic(
    name: string,
    change: { readonly retention?: Retention | null; readonly bytesMax?: number | null },
    options?: CallOptions & { readonly version?: bigint },
  ): Promise<TopicDescription>;
  /**
   * Adds empty partitions until there are `partitions`; running groups take them over. `warning` says which keys go elsewhere from now on.
   * @throws GmqError `topic_not_found`, `invalid_argument` (not more than there are)
   */
  addPartitions(
    name: string,
    partitions: number,
    options?: CallOptions & { readonly dryRun?: boolean },
  ): Promise<{ readonly topic: TopicDescription; readonly warning: string }>;
  /**
   * Deletes records below an offset, whoever has not settled them; what groups lose is counted with them.
   * @throws GmqError `topic_not_found`, `partition_not_found`, `invalid_argument`
   */
  purge(topic: string, options: PurgeOptions): Promise<PurgedPartition[]>;
}

/** Attempts to change a topic that others change too, when the caller named no version. */
const attemptsMax = 5;

/** Makes these calls; `changed` is told of every topic that one of them changed. */
export function createTopicAdmin(call: AdminCall, changed: (name: string) => void): TopicAdmin {
  async function describe(name: string, options: CallOptions | undefined): Promise<TopicDescription> {
    return topicOf(
      (await call(options, (client, callOptions) => client.describeTopic({ topic: name }, callOptions))).topic,
    );
  }

  return {
    async createTopic(name, options = {}) {
      if (options.partitions !== undefined) inRange("partitions", options.partitions, 1, limits.partitionsMax);
      const config = { partitions: options.partitions ?? 0, ...settingsOf(options) };
      const { topic } = await call(options, (client, callOptions) =>
        client.createTopic({ topic: name, config }, callOptions),
      );
      changed(name);
      return topicOf(topic);
    },
    async listTopics(options) {
      const { topics } = await call(options, (client, callOptions) => client.listTopics({}, callOptions));
      return topics.map(topicOf);
    },
    async describeTopic(name, options) {
      const { topic, partitions } = await call(options, (client, callOptions) =>
        client.describeTopic({ topic: name }, callOptions),
      );
      return { ...topicOf(topic), partitionStats: partitions.map(statsOf) };
    },
    async deleteTopic(name, options) {
      await call(options, (client, callOptions) => client.deleteTopic({ topic: name }, callOptions));
      changed(name);
    },
    async alterTopic(name, { retention, bytesMax }, given) {
      const { timeoutMs = callTimeoutMsDefault, ...options } = given ?? {};
      checkTimeout(timeoutMs);
      const untilMs = performance.now() + timeoutMs;
      /** All the calls have the time of one. */
      const left = (): CallOptions => ({ ...options, timeoutMs: Math.max(0, untilMs - performance.now()) });
      for (let attempt = 1; ; attempt++) {
        const now = await describe(name, left());
        const next = {
          retention: retention === undefined ? now.retention : (retention ?? undefined),
          bytesMax: bytesMax === undefined ? now.bytesMax : (bytesMax ?? undefined),
        };
        const request = { topic: name, config: settingsOf(next), version: options.version ?? now.version };
        try {
          return topicOf((await call(left(), (client, callOptions) => client.alterTopic(request, callOptions))).topic);
        } catch (error) {
          const isLost = options.version !== undefined || attempt === attemptsMax;
          if (isLost || !GmqError.is(error, "conflict")) throw error;
        }
      }
    },
    async addPartitions(name, partitions, options) {
      checkPartition("partitions", partitions);
      const request = { topic: name, partitions, dryRun: options?.dryRun ?? false };
      const answer = await call(options, (client, callOptions) => client.addPartitions(request, callOptions));
      if (!request.dryRun) changed(name);
      return { topic: topicOf(answer.topic), warning: answer.warning };
    },
    async purge(topic, { toOffset, partition, dryRun = false, ...options }) {
      checkOffset("toOffset", toOffset);
      if (partition !== undefined) checkPartition("partition", partition);
      const request = { topic, toOffset, dryRun, ...(partition === undefined ? {} : { partition }) };
      const { partitions } = await call(options, (client, callOptions) => client.purgeTopic(request, callOptions));
      return partitions.map(({ losses, ...purged }) => ({
        partition: purged.partition,
        startBefore: purged.startBefore,
        startAfter: purged.startAfter,
        losses: losses.map(({ group, records }) => ({ group, records })),
      }));
    },
  };
}

/** On the wire 0 means no bound. @throws GmqError `invalid_argument` for what is no whole number */
function settingsOf(settings: { readonly retention?: Retention | undefined; readonly bytesMax?: number | undefined }) {
  const { retention, bytesMax } = settings;
  const bound = wholeNumber("bytesMax", bytesMax);
  if (retention === undefined) return { bytesMax: bound };
  checkObject("retention", retention);
  return {
    bytesMax: bound,
    retention: {
      ms: wholeNumber("retention.ms", retention.ms),
      bytes: wholeNumber("retention.bytes", retention.bytes),
      records: wholeNumber("retention.records", retention.records),
      workQueue: retention.workQueue ?? false,
    },
  };
}

function wholeNumber(field: string, value = 0): bigint {
  if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw new GmqError("invalid_argument", `${field} is ${value}`, { field, limit: "a whole number, 0 or more" });
}

function topicOf(message: TopicMessage | undefined): TopicDescription {
  if (message === undefined) throw new GmqError("internal", "the broker's answer has no topic", { field: "topic" });
  const { name, config, createdAtMs, version } = message;
  return {
    name,
    partitions: config?.partitions ?? 0,
    createdAt: new Date(Number(createdAtMs)),
    version,
    ...boundsOf(config),
  };
}

function boundsOf(config: TopicConfig | undefined): TopicSettings {
  const { retention, bytesMax = 0n } = config ?? {};
  const kept: Retention | undefined =
    retention === undefined
      ? undefined
      : {
          ...(retention.ms === 0n ? {} : { ms: Number(retention.ms) }),
          ...(retention.bytes === 0n ? {} : { bytes: Number(retention.bytes) }),
          ...(retention.records === 0n ? {} : { records: Number(retention.records) }),
          ...(retention.workQueue ? { workQueue: true } : {}),
        };
  return {
    ...(kept === undefined ? {} : { retention: kept }),
    ...(bytesMax === 0n ? {} : { bytesMax: Number(bytesMax) }),
  };
}

function statsOf(stats: PartitionStats): PartitionDescription {
  const { partition, startOffset, endOffset, entries, bytes, firstAppendMs, lastAppendMs } = stats;
  return {
    partition,
    startOffset,
    endOffset,
    entries,
    bytes,
    firstAppend: timeOf(firstAppendMs),
    lastAppend: timeOf(lastAppendMs),
  };
}

function timeOf(ms: bigint): Date | undefined {
  return ms === 0n ? undefined : new Date(Number(ms));
}
