import { GmqError, limits } from "@gmq/protocol";

export interface TopicConfig {
  /** 1 to `limits.partitionsMax`. */
  readonly partitions: number;
  /** Undefined: records are kept for good. */
  readonly retention?: Retention | undefined;
  /** Bytes of all partitions together, 1 KiB to 1 PiB; above it producers get `topic_full` until there is room. Undefined: no bound. */
  readonly bytesMax?: number | undefined;
}

/** What of a topic can be changed while it lives; what is left out is taken away. */
export type TopicSettings = Omit<TopicConfig, "partitions">;

/** What of a partition is kept. Any of the bounds lets an entry go, oldest first; the last entry always stays. */
export interface Retention {
  /** Entries appended longer ago go; 1 ms to 100 years. */
  readonly ms?: number | undefined;
  /** The last so many bytes of a partition are kept, and the rest of the entry in which they begin; 1 to 1 PiB. */
  readonly bytes?: number | undefined;
  /** The last so many records of a partition are kept, and the rest of the entry in which they begin; 1 to 10^12. */
  readonly records?: number | undefined;
  /** True: what every group of the partition has settled goes; nothing while there is no group. */
  readonly workQueue?: boolean | undefined;
}

/**
 * The configuration with nothing in it that means nothing. 0 and undefined both say: no bound.
 * @throws GmqError `invalid_argument` naming field and limit
 */
export function checkTopicConfig({ partitions, ...settings }: TopicConfig): TopicConfig {
  return { partitions: checkPartitions(partitions, 1), ...checkTopicSettings(settings) };
}

/** The same for what can be changed. @throws GmqError `invalid_argument` naming field and limit */
export function checkTopicSettings({ retention, bytesMax }: TopicSettings): TopicSettings {
  const kept = retention === undefined ? {} : checkRetention(retention);
  return {
    ...(Object.keys(kept).length === 0 ? {} : { retention: kept }),
    ...bound("bytesMax", "config.bytes_max", bytesMax, limits.byteBudgetMin, limits.topicBytesMax, "bytes"),
  };
}

/** A number of partitions. @throws GmqError `invalid_argument` */
export function checkPartitions(partitions: number, min: number): number {
  if (Number.isInteger(partitions) && partitions >= min && partitions <= limits.partitionsMax) return partitions;
  throw new GmqError("invalid_argument", `a topic cannot have ${partitions} partitions`, {
    field: "config.partitions",
    limit: min > limits.partitionsMax ? `${limits.partitionsMax}` : `${min} to ${limits.partitionsMax}`,
  });
}

function checkRetention({ ms, bytes, records, workQueue }: Retention): Retention {
  return {
    ...bound("ms", "config.retention.ms", ms, 1, limits.retentionMsMax, "ms"),
    ...bound("bytes", "config.retention.bytes", bytes, 1, limits.topicBytesMax, "bytes"),
    ...bound("records", "config.retention.records", records, 1, limits.retentionRecordsMax, "records"),
    ...(workQueue === true ? { workQueue } : {}),
  };
}

function bound<Name extends string>(
  name: Name,
  field: string,
  value: number | undefined,
  min: number,
  max: number,
  unit: string,
): { readonly [key in Name]?: number } {
  if (value === undefined || value === 0) return {};
  if (Number.isInteger(value) && value >= min && value <= max) return { [name]: value } as { [key in Name]?: number };
  throw new GmqError("invalid_argument", `${field} is ${value}`, { field, limit: `${min} to ${max} ${unit}` });
}
