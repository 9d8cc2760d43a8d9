/** Sends what a producer's accumulators have ready, and tells them what became of it. */
import { GmqError } from "@gmq/protocol";
import type { PublishResult } from "@gmq/protocol/messages";
import { errorFromMessage } from "@gmq/transport/frames";
import type { Link } from "./link.js";
import type { PartitionAccumulator } from "./partition-accumulator.js";
import type { SealedBatch } from "./sealed-batch.js";
import type { TopicDirectory } from "./topic-directory.js";

export interface Outbox {
  /** Sends what is ready, one frame per topic and about a MiB. `now`: what gathers too, whatever the linger. */
  pump(now: boolean): void;
  /** The broker goes away: nothing new is sent to it. Resolves when what is in flight is answered. */
  leave(): Promise<void>;
  /** There is another session. */
  opened(): void;
}

/** A topic's accumulators that are not empty, by partition. */
export interface BusyTopic {
  readonly topicName: string;
  readonly busy: Map<number, PartitionAccumulator>;
}

/** A batch in a frame. */
interface Outgoing {
  readonly partition: number;
  readonly accumulator: PartitionAccumulator;
  readonly batch: SealedBatch;
  readonly outgoing: ReturnType<SealedBatch["outgoing"]>;
}

const frameBytesTarget = 1024 * 1024;

/**
 * Makes the outbox of a producer; `answered` is called after each answer: more may be ready. Who has become empty leaves `busyTopics`, so that a turn costs what is under
 * way, however many partitions the producer has ever sent to.
 */
export function createOutbox(
  link: Link,
  topics: Pick<TopicDirectory, "forget">,
  busyTopics: Set<BusyTopic>,
  answered: () => void,
): Outbox {
  let framesInFlight = 0;
  /** Set while the broker goes away. */
  let leaving: (() => void) | undefined;

  function pumpTopic({ topicName, busy }: BusyTopic, now: boolean): void {
    let frame: Outgoing[] = [];
    let bytes = 0;
    for (const [partition, accumulator] of busy) {
      for (let batch = accumulator.next(now); batch !== undefined; batch = accumulator.next(now)) {
        const outgoing = batch.outgoing();
        if (bytes > 0 && bytes + outgoing.records.length > frameBytesTarget) {
          publish(topicName, frame);
          frame = [];
          bytes = 0;
        }
        frame.push({ partition, accumulator, batch, outgoing });
        bytes += outgoing.records.length;
      }
      if (accumulator.isEmpty) busy.delete(partition);
    }
    if (frame.length > 0) publish(topicName, frame);
  }

  function publish(topicName: string, frame: readonly Outgoing[]): void {
    const batches = frame.map(({ partition, outgoing }) => ({ partition, batch: outgoing }));
    framesInFlight++;
    link.request({ case: "publish", value: { topic: topicName, batches } }).then(
      (answer) => {
        const results = answer.case === "published" ? answer.value.results : [];
        frame.forEach((item, index) => settle(topicName, item, results[index]));
        done();
      },
      (cause: unknown) => {
        const error = GmqError.from(cause);
        for (const { accumulator, batch } of frame) accumulator.failed(batch, error);
        done();
      },
    );
  }

  function settle(topicName: string, { accumulator, batch }: Outgoing, result: PublishResult | undefined): void {
    const code = result?.error?.code;
    // It was deleted, or made anew with fewer partitions: the next send asks.
    if (code === "topic_not_found" || code === "partition_not_found") topics.forget(topicName);
    if (result === undefined)
      accumulator.failed(batch, new GmqError("internal", "the broker's answer has no result for a batch"));
    else if (result.error !== undefined) accumulator.failed(batch, errorFromMessage(result.error));
    else accumulator.stored(batch, result.firstOffset, result.duplicate);
  }

  function done(): void {
    framesInFlight--;
    if (framesInFlight === 0) leaving?.();
    answered();
  }

  return {
    pump(now) {
      if (!link.writable || leaving !== undefined) return;
      for (const topic of busyTopics) {
        pumpTopic(topic, now);
        if (topic.busy.size === 0) busyTopics.delete(topic);
      }
    },
    leave: () =>
      new Promise((resolve) => {
        leaving = resolve;
        if (framesInFlight === 0) resolve();
      }),
    opened() {
      leaving = undefined;
    },
  };
}
