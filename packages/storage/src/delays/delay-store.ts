import type { ScheduledBatches, TopicPartition } from "../engine.js";

/** Where an engine keeps batches until their time; everything else about delays is the same on every engine. */
export interface DelayStore {
  /** Keeps a batch; one that is kept under this id already stays as it is. Durable when it resolves. @throws the store's error: whether it is kept is unknown */
  put(partition: TopicPartition, id: string, dueMs: number, batch: Uint8Array): Promise<void>;
  /** Partitions with something due, a bounded number, and when the next one is. */
  look(): Promise<{ readonly due: readonly TopicPartition[]; readonly nextInMs: number | undefined }>;
  /** What is due in a partition, the earliest first, at most `max`. */
  due(partition: TopicPartition, max: number): Promise<readonly DueBatch[]>;
  /** How much waits in a partition, and until when. */
  waiting(partition: TopicPartition): Promise<ScheduledBatches>;
  /** Forgets batches that are in the log, or whose topic is gone. */
  remove(partition: TopicPartition, ids: readonly string[]): Promise<void>;
}

/** A batch whose time has come. */
export interface DueBatch {
  readonly id: string;
  readonly batch: Uint8Array;
}
