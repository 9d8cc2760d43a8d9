/**
 * Publish, last stage on Redis. One appender a partition and process, with one append in flight: what comes in the meantime joins the next entry (group commit).
 * The id that Redis accepts only above the last one is the compare-and-set between processes; after a refused id or a lost connection the log is read again
 * before anything else is appended.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type BatchMeta, encodeEntryMeta, GmqError, hasSeededBug, limits } from "@gmq/protocol";
import type { AppendOutcome, LogBatch } from "../engine.js";
import { checkBatch } from "../log/check-batch.js";
import type { Rider } from "../log/follows.js";
import type { BatchIdentity } from "../log/producer-table.js";
import { batchesOfEntry } from "./entry-fill.js";
import { type Added, type LogTail, newAppendId, type PartitionLog } from "./partition-log.js";
import { fromRedisError, isReply } from "./redis-errors.js";

/** A batch on its way, and who waits for it. */
export interface WaitingBatch {
  readonly batch: LogBatch;
  /** After this, by `performance.now()`, it is not tried again. */
  readonly deadlineMs: number;
  resolve(outcome: AppendOutcome): void;
}

export interface PartitionAppender {
  /** Queues batches in order. */
  append(batches: readonly WaitingBatch[]): void;
  /** Reads the log again before the next append. */
  distrust(): void;
  /** True while something is queued or in flight. */
  readonly busy: boolean;
  /** Offset that the next record gets, as far as this process has seen. */
  readonly endOffset: bigint | undefined;
}

/** An entry as it was stored; its bodies, joined, are the body. */
export interface StoredEntry {
  readonly baseOffset: bigint;
  readonly recordCount: number;
  readonly meta: Uint8Array;
  readonly bodies: readonly Uint8Array[];
}

export interface AppenderHost {
  /** Grows when the connection was lost: then what is known of the log may be wrong. */
  generation(): number;
  /** When the topic was made, as far as this process knows: made again, it begins anew. @throws `topic_not_found` */
  life(): Promise<number>;
  /** Makes the stream again, of the life that its topic has now, when that exists. */
  restoreStream(): Promise<boolean>;
  topicGone(): GmqError;
  /** Owners that an entry of these offsets, the second not in it, may be registered for with its append. */
  board(baseOffset: bigint, endOffset: bigint): readonly Rider[];
  /** Redis has accepted an entry. */
  stored(entry: StoredEntry, added: Added): void;
  /** Waits until what Redis has accepted so far, by what was read in generation `since`, is as safe as was asked for; undefined: it is. @throws GmqError `unknown_outcome` */
  readonly confirmed?: ((since: number) => Promise<void>) | undefined;
}

/** One entry of a turn: the batches that go into it, in order. */
interface Turn {
  readonly taken: { readonly waiting: WaitingBatch; readonly firstOffset: bigint }[];
  readonly metas: BatchMeta[];
  readonly bodies: Uint8Array[];
  readonly baseOffset: bigint;
  readonly appendTimeMs: number;
  readonly appendId: bigint;
  records: number;
  bytes: number;
  /** The next batch could not be judged by what is known of the log. */
  endsInDoubt: boolean;
}

interface State {
  tail: LogTail;
  nextOffset: bigint;
  lastAppendMs: number;
  logBytes: number;
  entriesSinceSnapshot: number;
  readonly generation: number;
  readonly life: number;
}

const entriesBetweenSnapshots = 256;
const pauseMs = 25;
/** Looks for a stream of the topic's life before a turn is put off: one finds it missing, the next finds it made. */
const looksMax = 4;
const seeded = {
  acksEarly: hasSeededBug("ack-before-append"),
  swallowsOom: hasSeededBug("swallow-oom"),
  takesOffsetsFromClock: hasSeededBug("offset-from-clock"),
};

/** Makes the appender of a partition. */
export function createPartitionAppender(log: PartitionLog, host: AppenderHost): PartitionAppender {
  let queue: WaitingBatch[] = [];
  let running = false;
  let state: State | undefined;
  /** Highest offset ever given out by this process: an offset is not used twice even when the store loses its tail. */
  let highest = 0n;
  let highestLife = 0;
  /** The turn's state was read for it: nobody else has appended anything that it does not know. */
  let isFresh = false;

  /** Undefined: its stream had to be made, of the life that the topic has now. */
  async function load(life: number): Promise<State | undefined> {
    if (life !== highestLife) highest = 0n;
    highestLife = life;
    const generation = host.generation();
    const tail = await log.readTail();
    // What an earlier life has left goes with the making of this one. A later one is left alone: it may be this process that has not heard of it.
    if (!tail.exists || (tail.life !== "" && Number(tail.life) < life)) {
      if (!(await host.restoreStream())) throw host.topicGone();
      return undefined;
    }
    if (tail.endOffset > highest) highest = tail.endOffset;
    const { lastAppendMs, logBytes, entriesSinceSnapshot } = tail;
    return { tail, nextOffset: highest, lastAppendMs, logBytes, entriesSinceSnapshot, generation, life };
  }

  async function current(): Promise<State> {
    isFresh = false;
    for (let look = 0; look < looksMax; look++) {
      const life = await host.life();
      if (state !== undefined && state.generation === host.generation() && state.life === life) return state;
      state = undefined;
      state = await load(life);
      isFresh = true;
    }
    throw new GmqError("store_unavailable", "the topic was deleted and made again, again and again");
  }

  async function run(): Promise<void> {
    // One turn of the event loop for more to come together.
    await new Promise(setImmediate);
    while (queue.length > 0) {
      try {
        await oneTurn(await current());
      } catch (error) {
        state = undefined;
        await refuseLate(error);
      }
    }
    running = false;
  }

  async function oneTurn(now: State): Promise<void> {
    const turn = takeTurn(now);
    if (turn.metas.length > 0) await addEntry(now, turn);
    else if (turn.endsInDoubt) state = undefined;
  }

  async function addEntry(now: State, turn: Turn): Promise<void> {
    const { baseOffset, appendTimeMs, appendId } = turn;
    const meta = encodeEntryMeta({ appendTimeMs, appendId, batches: turn.metas, logBytes: now.logBytes });
    if (seeded.acksEarly) answer(turn, now.generation);
    const riders = host.board(baseOffset, baseOffset + BigInt(turn.records));
    const outcome = await log.add(baseOffset, meta, turn.records, turn.bodies, riders);
    if (typeof outcome === "object" && "riders" in outcome) return finish(now, turn, meta, outcome);
    for (const rider of riders) rider.missed();
    // The table holds what was not stored: it goes, and the batches wait for another look at the log.
    state = undefined;
    if (typeof outcome === "object" && "refused" in outcome) {
      const error = fromRedisError(outcome.refused);
      if (seeded.swallowsOom && error.code === "store_full") return answer(turn, now.generation);
      for (const { waiting } of turn.taken) waiting.resolve({ ok: false, error });
      return;
    }
    if (outcome === "no stream" && !(await host.restoreStream())) {
      const error = host.topicGone();
      for (const { waiting } of turn.taken) waiting.resolve({ ok: false, error });
      return;
    }
    if (typeof outcome === "object") return findLost(turn, outcome.lost);
    queue = [...turn.taken.map(({ waiting }) => waiting), ...queue];
  }

  /** The answer of an append was lost: the log says whether it was stored. */
  async function findLost(turn: Turn, cause: unknown): Promise<void> {
    const deadlineMs = Math.max(...turn.taken.map(({ waiting }) => waiting.deadlineMs));
    for (;;) {
      try {
        const now = await current();
        if (now.tail.appendIds.has(turn.appendId)) return answer(turn, now.generation);
        queue = [...turn.taken.map(({ waiting }) => waiting), ...queue];
        return;
      } catch (error) {
        state = undefined;
        if (performance.now() < deadlineMs) {
          await sleep(pauseMs);
          continue;
        }
        const unknown = new GmqError("unknown_outcome", "the store's answer was lost; the batch may be stored", {
          cause: isReply(error) ? error : cause,
        });
        for (const { waiting } of turn.taken) waiting.resolve({ ok: false, error: unknown });
        return;
      }
    }
  }

  /** Takes what fits into one entry from the queue's head; answers at once what must not be stored. */
  function takeTurn(now: State): Turn {
    const turn: Turn = {
      taken: [],
      metas: [],
      bodies: [],
      baseOffset: seeded.takesOffsetsFromClock ? BigInt(Date.now()) : now.nextOffset,
      appendTimeMs: Math.max(Date.now(), now.lastAppendMs),
      appendId: newAppendId(),
      records: 0,
      bytes: 0,
      endsInDoubt: false,
    };
    const count = batchesOfEntry(fittingBytes());
    let index = 0;
    for (; index < count; index++) {
      const waiting = queue[index] as WaitingBatch;
      if (!place(now, turn, waiting)) {
        turn.endsInDoubt = true;
        break;
      }
    }
    queue = index === queue.length ? [] : queue.slice(index);
    return turn;
  }

  /** Bytes of the batches at the queue's head that fit into one entry. */
  function fittingBytes(): number[] {
    const sizes: number[] = [];
    let bytes = 0;
    let records = 0;
    for (const { batch } of queue) {
      bytes += batch.records.length;
      records += batch.recordCount;
      if (sizes.length > 0 && (bytes > limits.entryBytesMax || records > limits.entryRecordsMax)) break;
      if (sizes.length >= limits.entryBatchesMax) break;
      sizes.push(batch.records.length);
    }
    return sizes;
  }

  /** False: there is a gap before the batch, as far as this process has read; the log has to be read again before it is judged, and what comes behind it. */
  function place({ tail, generation }: State, turn: Turn, waiting: WaitingBatch): boolean {
    const { batch } = waiting;
    const { recordCount, producerId, producerEpoch, dedupeId, codec, crc32, uncompressedBytes, records } = batch;
    const firstSequence = Number(batch.firstSequence);
    const identity: BatchIdentity = { recordCount, producerId, producerEpoch, firstSequence, dedupeId };
    const verdict = tail.table.judge(identity);
    if (verdict.kind === "refuse") {
      if (verdict.error.code === "out_of_order" && !isFresh) return false;
      waiting.resolve({ ok: false, error: verdict.error });
      return true;
    }
    if (verdict.kind === "duplicate") {
      // It may be in this very turn, and is answered with it then.
      if (verdict.firstOffset >= turn.baseOffset) {
        turn.taken.push({ waiting, firstOffset: verdict.firstOffset });
        return true;
      }
      const { firstOffset, appendTimeMs } = verdict;
      // It may be that nobody was told of it because replicas did not have it.
      confirm([waiting], generation, () => waiting.resolve({ ok: true, firstOffset, duplicate: true, appendTimeMs }));
      return true;
    }
    const firstOffset = turn.baseOffset + BigInt(turn.records);
    turn.metas.push({ ...identity, codec, crc32, uncompressedBytes, bodyBytes: records.length, timestampMs: 0 });
    turn.bodies.push(records);
    turn.taken.push({ waiting, firstOffset });
    turn.records += recordCount;
    turn.bytes += records.length;
    tail.table.note(identity, firstOffset, turn.appendTimeMs);
    return true;
  }

  function finish(now: State, turn: Turn, meta: Uint8Array, added: Added): void {
    now.nextOffset = turn.baseOffset + BigInt(turn.records);
    now.lastAppendMs = turn.appendTimeMs;
    now.logBytes += turn.bytes;
    highest = now.nextOffset;
    now.entriesSinceSnapshot++;
    if (now.entriesSinceSnapshot >= entriesBetweenSnapshots) {
      now.entriesSinceSnapshot = 0;
      log.keepSnapshot(now.nextOffset, now.tail).catch(() => undefined); // the next one does it; losing it costs reading time
    }
    host.stored({ baseOffset: turn.baseOffset, recordCount: turn.records, meta, bodies: turn.bodies }, added);
    answer(turn, now.generation);
  }

  /** Answers once it is confirmed; the next entry does not wait for that. */
  function confirm(told: readonly WaitingBatch[], since: number, tell: () => void): void {
    if (host.confirmed === undefined) return tell();
    host.confirmed(since).then(tell, (cause: unknown) => {
      const error = GmqError.from(cause);
      for (const waiting of told) waiting.resolve({ ok: false, error });
    });
  }

  function answer(turn: Turn, since: number): void {
    confirm(
      turn.taken.map(({ waiting }) => waiting),
      since,
      () => tellStored(turn),
    );
  }

  function tellStored({ taken, appendTimeMs }: Turn): void {
    let end = -1n;
    for (const { waiting, firstOffset } of taken) {
      const duplicate = firstOffset < end;
      end = duplicate ? end : firstOffset + BigInt(waiting.batch.recordCount);
      waiting.resolve({ ok: true, firstOffset, duplicate, appendTimeMs });
    }
  }

  /** The log could not be read. What ran out of time is answered; nothing of it was sent. */
  async function refuseLate(cause: unknown): Promise<void> {
    const error = fromRedisError(cause);
    const nowMs = performance.now();
    const isFinal = error.code === "topic_not_found" || error.code === "closed" || !error.retryable;
    const late = queue.filter(({ deadlineMs }) => isFinal || deadlineMs <= nowMs);
    queue = queue.filter((waiting) => !late.includes(waiting));
    for (const waiting of late) waiting.resolve({ ok: false, error });
    if (queue.length > 0) await sleep(pauseMs);
  }

  return {
    append(batches) {
      for (const waiting of batches) {
        const unsound = checkBatch(waiting.batch);
        if (unsound === undefined) queue.push(waiting);
        else waiting.resolve({ ok: false, error: unsound });
      }
      if (running || queue.length === 0) return;
      running = true;
      void run();
    },
    distrust() {
      state = undefined;
    },
    get busy() {
      return running;
    },
    get endOffset() {
      return state?.nextOffset;
    },
  };
}
