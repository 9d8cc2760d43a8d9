/**
 * Delayed publish: a batch with a later time is kept beside the log and moved into it when its time has come. Any number of processes may move: the id of the batch is
 * the dedupe id of its append, so it is stored once whoever is first, and a process that dies between the append and the removal leaves work, not doubles.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { checkName, GmqError, hasSeededBug, limits } from "@gmq/protocol";
import { BatchSchema } from "@gmq/protocol/messages";
import type { AppendOutcome, LogBatch, LogStore, PartitionAppend, TopicPartition } from "../engine.js";
import { checkBatch } from "../log/check-batch.js";
import type { DelayStore } from "./delay-store.js";

export interface Delays {
  /** `LogStore.append`, which keeps what is for later. */
  readonly append: LogStore["append"];
  readonly scheduled: LogStore["scheduled"];
  /** Stops moving; resolves when a move under way has ended and what is being kept is. */
  close(): Promise<void>;
}

/** Batches moved in one append. */
const moveMax = 256;
/** Looks at least this often: another process may have kept something and died. */
const lookMsMax = 10_000;
const lookMsMin = 10;
const retryMs = 500;
const cutsDelaysShort = hasSeededBug("delay-cut-short");

/** Makes delays over an engine's log; the first look is at once. `knows` checks that a partition exists. */
export function createDelays(
  store: DelayStore,
  append: LogStore["append"],
  knows: (partition: TopicPartition) => Promise<void>,
  nowMs: () => number,
  logger: Logger,
): Delays {
  let timer: NodeJS.Timeout | undefined;
  let dueAtMs = Number.POSITIVE_INFINITY;
  let moving: Promise<void> | undefined;
  let closed = false;
  const keeping = new Set<Promise<AppendOutcome>>();

  function lookIn(delayMs: number): void {
    if (closed) return;
    const atMs = performance.now() + Math.min(lookMsMax, Math.max(lookMsMin, delayMs));
    if (timer !== undefined && dueAtMs <= atMs) return;
    clearTimeout(timer);
    dueAtMs = atMs;
    timer = setTimeout(() => {
      timer = undefined;
      moving ??= move().finally(() => {
        moving = undefined;
      });
    }, atMs - performance.now());
  }

  async function move(): Promise<void> {
    let nextMs = lookMsMax;
    try {
      const { due, nextInMs } = await store.look();
      await Promise.all(due.map(movePartition));
      nextMs = due.length > 0 ? 0 : (nextInMs ?? lookMsMax);
    } catch (cause) {
      const error = GmqError.from(cause);
      if (!closed && error.code !== "closed") logger.warn("records whose time has come could not be moved", { error });
      nextMs = retryMs;
    }
    lookIn(nextMs);
  }

  async function movePartition(partition: TopicPartition): Promise<void> {
    const due = await store.due(partition, moveMax);
    if (due.length === 0) return;
    const batches = due.map(
      ({ id, batch }): LogBatch => ({ ...fromBinary(BatchSchema, batch), dedupeId: id, deliverAtMs: 0n }),
    );
    const [outcomes = []] = await append([{ ...partition, batches }]);
    const done = due.filter((_, index) => isOver(outcomes[index]));
    if (done.length > 0)
      await store.remove(
        partition,
        done.map(({ id }) => id),
      );
    const failed = outcomes.find((outcome) => !isOver(outcome));
    if (failed?.ok === false) throw failed.error;
  }

  async function keep(partition: TopicPartition, batch: LogBatch): Promise<AppendOutcome> {
    const unsound = checkBatch(batch) ?? checkDelay(batch, nowMs());
    if (unsound !== undefined) return { ok: false, error: unsound };
    const dueMs = Number(batch.deliverAtMs) - (cutsDelaysShort ? 1_000 : 0);
    try {
      await knows(partition);
      await store.put(partition, batch.dedupeId as string, dueMs, toBinary(BatchSchema, create(BatchSchema, batch)));
    } catch (error) {
      return { ok: false, error: GmqError.from(error) };
    }
    lookIn(dueMs - nowMs());
    return { ok: true, firstOffset: -1n, duplicate: false, appendTimeMs: nowMs(), scheduled: true };
  }

  function keepTracked(partition: TopicPartition, batch: LogBatch): Promise<AppendOutcome> {
    const kept = keep(partition, batch);
    keeping.add(kept);
    return kept.finally(() => keeping.delete(kept));
  }

  async function appendBoth(request: PartitionAppend): Promise<AppendOutcome[]> {
    const { topic, partition, batches } = request;
    const isLater = batches.map(({ deliverAtMs = 0n }) => Number(deliverAtMs) > nowMs());
    const [kept, [stored = []]] = await Promise.all([
      Promise.all(
        batches.filter((_, index) => isLater[index]).map((batch) => keepTracked({ topic, partition }, batch)),
      ),
      append([{ topic, partition, batches: batches.filter((_, index) => isLater[index] !== true) }]),
    ]);
    let nextKept = 0;
    let nextStored = 0;
    return isLater.map((later) => (later ? kept[nextKept++] : stored[nextStored++]) as AppendOutcome);
  }

  lookIn(0);
  return {
    append(appends) {
      // The usual case costs a look at each batch.
      const isPlain = appends.every(({ batches }) => batches.every(({ deliverAtMs = 0n }) => deliverAtMs === 0n));
      return isPlain ? append(appends) : Promise.all(appends.map(appendBoth));
    },
    async scheduled({ topic, partition }) {
      await knows({ topic: checkName("topic", topic), partition });
      return store.waiting({ topic, partition });
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await Promise.all([moving, ...keeping]);
    },
  };
}

/** In the log, or never to be: its topic is gone. */
function isOver(outcome: AppendOutcome | undefined): boolean {
  if (outcome === undefined) return false;
  return outcome.ok || outcome.error.code === "topic_not_found" || outcome.error.code === "partition_not_found";
}

function checkDelay({ deliverAtMs = 0n, dedupeId, producerId }: LogBatch, nowMs: number): GmqError | undefined {
  if (Number(deliverAtMs) - nowMs > limits.deliverAfterMsMax) {
    return new GmqError("invalid_argument", `a delivery at ${deliverAtMs}`, {
      field: "batch.deliver_at_ms",
      limit: `${limits.deliverAfterMsMax} ms from now`,
    });
  }
  if (dedupeId === undefined || producerId !== 0n) {
    return new GmqError("invalid_argument", "a delayed batch is known by its dedupe id, not by a producer's sequence", {
      field: dedupeId === undefined ? "batch.dedupe_id" : "batch.producer_id",
    });
  }
  return undefined;
}
