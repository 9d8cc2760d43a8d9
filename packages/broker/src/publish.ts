/**
 * Publish in the broker. Called by the session (and the gateway) with batches as they came; admits them by what can be told without looking into them,
 * joins the batches of every session of this turn into one `log.append`, and answers one result for each batch, in order.
 * Batches of one session and partition are stored in the order in which they came.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { codecNumbers, GmqError, limits } from "@gmq/protocol";
import type { AppendOutcome, LogBatch, LogStore, PartitionAppend, TopicInfo } from "@gmq/storage";
import type { BrokerLimits } from "./broker-limits.js";
import type { Meter } from "./meter.js";
import type { TopicCache } from "./topic-cache.js";
import { createTurn } from "./turn.js";

/** A batch and the partition it is for. */
export interface PartitionBatch {
  readonly partition: number;
  readonly batch: LogBatch;
}

/** Stores batches of one topic; never rejects. */
export type Publish = (topic: string, batches: readonly PartitionBatch[]) => Promise<AppendOutcome[]>;

const knownCodecs: ReadonlySet<number> = new Set(Object.values(codecNumbers));

/** Makes the publish path over a log. */
export function createPublish(log: LogStore, topics: TopicCache, bounds: BrokerLimits, meter: Meter): Publish {
  const append = createTurn<PartitionAppend, AppendOutcome[]>((appends) => log.append(appends));

  async function publishTo(info: TopicInfo, batches: readonly PartitionBatch[]): Promise<AppendOutcome[]> {
    const outcomes = new Array<AppendOutcome>(batches.length);
    const admitted = new Map<number, { indexes: number[]; batches: LogBatch[] }>();
    batches.forEach(({ partition, batch }, index) => {
      const error = refusal(info, partition, batch, bounds);
      if (error !== undefined) {
        outcomes[index] = { ok: false, error };
        return;
      }
      const group = admitted.get(partition) ?? { indexes: [], batches: [] };
      group.indexes.push(index);
      group.batches.push(batch);
      admitted.set(partition, group);
    });
    await Promise.all(
      Array.from(admitted, async ([partition, { indexes, batches: own }]) => {
        const stored = await append({ topic: info.name, partition, batches: own }).catch((error: unknown) =>
          own.map((): AppendOutcome => ({ ok: false, error: GmqError.from(error) })),
        );
        indexes.forEach((index, at) => {
          const outcome = stored[at] as AppendOutcome;
          outcomes[index] = outcome;
          if (outcome.ok) meter.publishedBytes += (own[at] as LogBatch).records.length;
        });
        await throttle(stored);
      }),
    );
    return outcomes;
  }

  return async (topic, batches) => {
    const cached = topics.peek(topic);
    if (cached !== undefined) return publishTo(cached, batches);
    try {
      return await publishTo(await topics.resolve(topic), batches);
    } catch (cause) {
      const error = GmqError.from(cause);
      return batches.map(() => ({ ok: false, error }));
    }
  };
}

/** Holds the answer back while a byte budget is nearly used up: a producer that waits for answers slows down, others are not touched. */
async function throttle(outcomes: readonly AppendOutcome[]): Promise<void> {
  const throttleMs = Math.max(0, ...outcomes.map((outcome) => (outcome.ok ? (outcome.throttleMs ?? 0) : 0)));
  if (throttleMs > 0) await sleep(Math.min(throttleMs, limits.throttleMsMax));
}

/** Why a batch is not admitted; the engine checks its bytes. */
function refusal(
  { name, config }: TopicInfo,
  partition: number,
  batch: LogBatch,
  { batchBytesMax, batchUncompressedBytesMax }: BrokerLimits,
): GmqError | undefined {
  if (partition >= config.partitions) {
    return new GmqError("partition_not_found", `the topic ${name} has no partition ${partition}`, {
      field: "partition",
      limit: `0 to ${config.partitions - 1}`,
    });
  }
  if (!knownCodecs.has(batch.codec)) {
    return new GmqError("unknown_codec", `codec ${batch.codec} is not known`, {
      field: "batch.codec",
      limit: "1 none, 2 gzip, 3 zstd",
    });
  }
  if (batch.records.length > batchBytesMax) {
    return new GmqError("batch_too_large", `a batch has ${batch.records.length} bytes`, {
      field: "batch.records",
      limit: `${batchBytesMax} bytes`,
    });
  }
  // Nobody unpacks more than it says: who says less than it is finds his batch refused as corrupt when it is read.
  if (batch.uncompressedBytes > batchUncompressedBytesMax) {
    return new GmqError("batch_too_large", `a batch unpacks to ${batch.uncompressedBytes} bytes`, {
      field: "batch.uncompressed_bytes",
      limit: `${batchUncompressedBytesMax} bytes`,
    });
  }
  return undefined;
}
