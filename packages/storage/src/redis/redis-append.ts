import { GmqError, limits } from "@gmq/protocol";
import type { AppendOutcome, PartitionAppend, TopicPartition } from "../engine.js";
import type { EndOffsets } from "../log/end-offsets.js";
import type { Follows } from "../log/follows.js";
import type { RedisConnection } from "./connection.js";
import type { Keys } from "./keys.js";
import { createPartitionAppender, type PartitionAppender, type WaitingBatch } from "./partition-appender.js";
import { createPartitionLog } from "./partition-log.js";
import type { RecentEntries } from "./recent-entries.js";
import type { RedisSignals } from "./redis-signals.js";
import type { RedisTopics } from "./redis-topics.js";
import type { ReplicaBarrier } from "./replica-barrier.js";
import type { Scripts } from "./scripts.js";

export interface RedisAppend {
  append(appends: readonly PartitionAppend[]): Promise<AppendOutcome[][]>;
  /** Waits until nothing is in flight; later appends are refused. */
  close(): Promise<void>;
}

/** How long a batch waits for a store that does not answer. */
const appendTimeoutMs = 5_000;

/** Makes the append side of the log: an appender for each partition that is written to, and one bound on what waits in all of them. */
export function createRedisAppend(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  topics: RedisTopics,
  signals: RedisSignals,
  ends: EndOffsets,
  recent: RecentEntries,
  barrier: ReplicaBarrier | undefined,
  follows: Pick<Follows, "board">,
): RedisAppend {
  const appenders = new Map<string, Map<number, PartitionAppender>>();
  let waitingBytes = 0;
  let inFlight = 0;
  let closed = false;
  let idle: (() => void) | undefined;

  signals.subscribe((signal) => {
    // The topic may have been deleted and made again.
    if (signal.kind === "topic")
      for (const appender of appenders.get(signal.topic)?.values() ?? []) appender.distrust();
  });

  function appenderOf(partition: TopicPartition): PartitionAppender {
    let ofTopic = appenders.get(partition.topic);
    if (ofTopic === undefined) {
      ofTopic = new Map();
      appenders.set(partition.topic, ofTopic);
    }
    let appender = ofTopic.get(partition.partition);
    if (appender === undefined) {
      const log = keys.log(partition);
      appender = createPartitionAppender(createPartitionLog(connection, scripts, keys, partition, signals.ownChannel), {
        board: (baseOffset, endOffset) => follows.board(partition, baseOffset, endOffset),
        generation: () => barrier?.generation ?? connection.generation,
        life: async () => (await topics.known(partition.topic)).createdAtMs,
        restoreStream: () => topics.restoreStream(partition),
        confirmed: barrier === undefined ? undefined : (since) => barrier.reached(partition, since),
        topicGone: () => new GmqError("topic_not_found", `there is no topic ${partition.topic}`, { field: "topic" }),
        stored({ baseOffset, recordCount, meta, bodies }, { echoes, riders }) {
          const isWanted = recent.wants(log);
          const endOffset = baseOffset + BigInt(recordCount);
          ends.note(partition, endOffset);
          if (isWanted || riders.length > 0) {
            const body = bodies.length === 1 ? (bodies[0] as Uint8Array) : Buffer.concat(bodies);
            const entry = { baseOffset, recordCount, meta, body };
            if (isWanted) recent.appended(log, entry);
            signals.appended(partition, endOffset, echoes);
            for (const { rider, problem } of riders) {
              if (problem === "") rider.arrived(entry);
              else rider.missed();
            }
          } else signals.appended(partition, endOffset, echoes);
        },
      });
      ofTopic.set(partition.partition, appender);
    }
    return appender;
  }

  /** Queues one partition's batches and resolves with their outcomes, in order. */
  function appendTo({ topic, partition, batches }: PartitionAppend): Promise<AppendOutcome[]> {
    return new Promise((resolve) => {
      const outcomes: AppendOutcome[] = new Array(batches.length);
      let missing = batches.length;
      if (missing === 0) return resolve([]);
      const deadlineMs = performance.now() + appendTimeoutMs;
      const waiting = batches.map(
        (batch, index): WaitingBatch => ({
          batch,
          deadlineMs,
          resolve(outcome) {
            outcomes[index] = outcome;
            missing--;
            if (missing === 0) resolve(outcomes);
          },
        }),
      );
      appenderOf({ topic, partition }).append(waiting);
    });
  }

  async function checkedAppend(request: PartitionAppend): Promise<AppendOutcome[]> {
    try {
      await topics.check(request);
    } catch (error) {
      return refuse(request, GmqError.from(error));
    }
    return appendTo(request);
  }

  return {
    async append(appends) {
      let bytes = 0;
      for (const { batches } of appends) for (const { records } of batches) bytes += records.length;
      if (closed) return appends.map((request) => refuse(request, new GmqError("closed", "the engine is closed")));
      if (waitingBytes > 0 && waitingBytes + bytes > limits.appendQueueBytesMax) {
        const full = new GmqError("resource_exhausted", "too many bytes wait to be appended", {
          field: "append",
          limit: `${limits.appendQueueBytesMax} bytes`,
        });
        return appends.map((request) => refuse(request, full));
      }
      waitingBytes += bytes;
      inFlight++;
      try {
        return await Promise.all(appends.map(checkedAppend));
      } finally {
        waitingBytes -= bytes;
        inFlight--;
        if (inFlight === 0) idle?.();
      }
    },
    async close() {
      closed = true;
      if (inFlight > 0) await new Promise<void>((resolve) => (idle = resolve));
    },
  };
}

function refuse({ batches }: PartitionAppend, error: GmqError): AppendOutcome[] {
  return batches.map(() => ({ ok: false, error }));
}
