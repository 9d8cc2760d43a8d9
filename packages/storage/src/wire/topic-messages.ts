/** Topics and trims: engine values to wire messages and back. */
import { create } from "@bufbuild/protobuf";
import {
  PartitionStatsSchema,
  type PurgedPartition as PurgedMessage,
  PurgedPartitionSchema,
  type PartitionStats as StatsMessage,
  type TopicConfig as TopicConfigMessage,
  TopicConfigSchema,
  TopicInfoSchema,
  type TopicInfo as TopicMessage,
} from "@gmq/protocol/messages";
import type { PartitionStats, PurgedPartition, TopicConfig, TopicInfo } from "../engine.js";

export function topicToMessage({ name, config, createdAtMs, version }: TopicInfo): TopicMessage {
  return create(TopicInfoSchema, {
    name,
    config: configToMessage(config),
    createdAtMs: BigInt(createdAtMs),
    version: BigInt(version),
  });
}

export function topicFromMessage({ name, config, createdAtMs, version }: TopicMessage): TopicInfo {
  return { name, config: configFromMessage(config), createdAtMs: Number(createdAtMs), version: Number(version) };
}

export function configToMessage({ partitions, retention, bytesMax }: TopicConfig): TopicConfigMessage {
  return create(TopicConfigSchema, {
    partitions,
    bytesMax: BigInt(bytesMax ?? 0),
    ...(retention === undefined
      ? {}
      : {
          retention: {
            ms: BigInt(retention.ms ?? 0),
            bytes: BigInt(retention.bytes ?? 0),
            records: BigInt(retention.records ?? 0),
            workQueue: retention.workQueue ?? false,
          },
        }),
  });
}

/** What 0 stands for (no bound) is left out; the engine checks the rest. */
export function configFromMessage(message: TopicConfigMessage | undefined): TopicConfig {
  const { partitions = 0, retention, bytesMax = 0n } = message ?? {};
  return {
    partitions,
    ...(bytesMax === 0n ? {} : { bytesMax: Number(bytesMax) }),
    ...(retention === undefined
      ? {}
      : {
          retention: {
            ...(retention.ms === 0n ? {} : { ms: Number(retention.ms) }),
            ...(retention.bytes === 0n ? {} : { bytes: Number(retention.bytes) }),
            ...(retention.records === 0n ? {} : { records: Number(retention.records) }),
            ...(retention.workQueue ? { workQueue: true } : {}),
          },
        }),
  };
}

export function statsToMessage(stats: PartitionStats): StatsMessage {
  const { partition, startOffset, endOffset, entries, lastAppendMs, bytes, firstAppendMs } = stats;
  return create(PartitionStatsSchema, {
    partition,
    startOffset,
    endOffset,
    entries: BigInt(entries),
    lastAppendMs: BigInt(lastAppendMs),
    bytes: BigInt(bytes),
    firstAppendMs: BigInt(firstAppendMs),
  });
}

export function statsFromMessage(message: StatsMessage): PartitionStats {
  const { partition, startOffset, endOffset, entries, lastAppendMs, bytes, firstAppendMs } = message;
  return {
    partition,
    startOffset,
    endOffset,
    entries: Number(entries),
    lastAppendMs: Number(lastAppendMs),
    bytes: Number(bytes),
    firstAppendMs: Number(firstAppendMs),
  };
}

export function purgedToMessage({ losses, ...purged }: PurgedPartition): PurgedMessage {
  return create(PurgedPartitionSchema, {
    ...purged,
    losses: losses.map(({ group, records }) => ({ group, records: BigInt(records) })),
  });
}

export function purgedFromMessage({ partition, startBefore, startAfter, losses }: PurgedMessage): PurgedPartition {
  return {
    partition,
    startBefore,
    startAfter,
    losses: losses.map(({ group, records }) => ({ group, records: Number(records) })),
  };
}
