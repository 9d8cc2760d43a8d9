/** Moves dead letters: appends them to the topic that they came from, then settles them in the dead-letter topic. */
import { setTimeout as sleep } from "node:timers/promises";
import { boundedDedupeId, encodeSingleBatch, GmqError, redrivenHeaders } from "@gmq/protocol";
import type { AppendOutcome, Engine, LogBatch, Ownership, TopicInfo } from "@gmq/storage";
import { resend } from "../resend.js";
import type { DeadLetter } from "./dead-letter.js";

/** A dead letter and the entry that holds it. */
export interface Move {
  readonly letter: DeadLetter;
  readonly baseOffset: bigint;
  readonly recordCount: number;
}

/** What became of a letter: where it is stored now (undefined: nowhere, it was discarded), or why it stays where it is. */
export type Moved = { readonly to: StoredPlace | undefined } | { readonly error: GmqError };

/** Place of a record. */
export interface StoredPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

export interface Mover {
  /**
   * Moves letters of one partition, in order. Answers with what became of each, in order.
   * @throws GmqError when the store does not answer or the partition is lost: any of them may be settled. What was appended is not appended again by the next redrive
   */
  move(ownership: Ownership, moves: readonly Move[]): Promise<readonly Moved[]>;
}

const attemptsMax = 8;
const delayMsMin = 100;
const delayMsMax = 2_000;

/** Makes a mover; `target` undefined: letters are settled without a copy. */
export function createMover(
  { log, groups }: Pick<Engine, "log" | "groups">,
  source: TopicInfo,
  target: TopicInfo | undefined,
  isOver: () => boolean,
): Mover {
  async function append(moves: readonly Move[], to: TopicInfo): Promise<Moved[]> {
    const batches = await Promise.all(moves.map(({ letter }) => batchOf(letter)));
    let open = moves.map(({ letter }, index) => ({ letter, index, batch: batches[index] as LogBatch }));
    const moved = new Array<Moved>(moves.length);
    for (let attempt = 1; open.length > 0; attempt++) {
      const outcomes = await appendAll(open, to);
      const again: typeof open = [];
      open.forEach((item, at) => {
        const outcome = outcomes[at];
        if (outcome?.ok === true) {
          const partition = partitionOf(item.letter, to);
          moved[item.index] = { to: { topic: to.name, partition, offset: outcome.firstOffset } };
          return;
        }
        const error = outcome?.error ?? new GmqError("internal", "an append was left unanswered");
        if (!error.retryable) moved[item.index] = { error };
        else if (attempt < attemptsMax && !isOver()) again.push(item);
        else throw error;
      });
      open = again;
      if (open.length > 0) await sleep(Math.min(delayMsMax, delayMsMin * 2 ** attempt) * (0.5 + Math.random() / 2));
    }
    return moved;
  }

  /** One outcome for each, in order. Letters of one partition go back to one partition: its records keep their order. */
  async function appendAll(
    open: readonly { readonly letter: DeadLetter; readonly batch: LogBatch }[],
    to: TopicInfo,
  ): Promise<AppendOutcome[]> {
    const byPartition = new Map<number, number[]>();
    open.forEach(({ letter }, at) => {
      const partition = partitionOf(letter, to);
      byPartition.set(partition, [...(byPartition.get(partition) ?? []), at]);
    });
    const parts = [...byPartition];
    const appends = parts.map(([partition, indexes]) => ({
      topic: to.name,
      partition,
      batches: indexes.map((at) => (open[at] as { batch: LogBatch }).batch),
    }));
    const answers = await log.append(appends);
    const outcomes = new Array<AppendOutcome>(open.length);
    parts.forEach(([, indexes], part) => {
      indexes.forEach((at, index) => {
        outcomes[at] = answers[part]?.[index] as AppendOutcome;
      });
    });
    return outcomes;
  }

  function batchOf({ partition, record, facts }: DeadLetter): Promise<LogBatch> {
    const { key, value, headers, offset } = record;
    return encodeSingleBatch(
      { key, value, headers: redrivenHeaders(headers), timestampMs: facts.timestampMs },
      // The topic's birth tells apart what a deleted topic of the same name held.
      boundedDedupeId(`redrive/${source.name}/${partition}/${offset}@${source.createdAtMs}`),
    );
  }

  /** Why some stay open, by offset. */
  async function settle(ownership: Ownership, moves: readonly Move[]): Promise<ReadonlyMap<bigint, GmqError>> {
    const byEntry = new Map<bigint, { baseOffset: bigint; recordCount: number; ranges: Range[] }>();
    for (const { letter, baseOffset, recordCount } of moves) {
      const entry = byEntry.get(baseOffset) ?? { baseOffset, recordCount, ranges: [] };
      const { offset } = letter.record;
      entry.ranges.push({ firstOffset: offset, lastOffset: offset, verb: "ack" });
      byEntry.set(baseOffset, entry);
    }
    const outcome = await resend(
      { ownership, entries: [...byEntry.values()] },
      async (settlement) => {
        const [answer] = await groups.settle([settlement]);
        return answer ?? { ok: false, error: new GmqError("internal", "a settle was left unanswered") };
      },
      isOver,
    );
    if (!outcome.ok) throw outcome.error;
    return new Map(outcome.refusals.map(({ firstOffset, error }) => [firstOffset, error]));
  }

  return {
    async move(ownership, moves) {
      const moved = target === undefined ? moves.map(() => ({ to: undefined })) : await append(moves, target);
      const gone = moves.filter((_move, index) => "to" in (moved[index] as Moved));
      if (gone.length === 0) return moved;
      const refused = await settle(ownership, gone);
      return moved.map((outcome, index) => {
        const error = refused.get((moves[index] as Move).letter.record.offset);
        return error === undefined || "error" in outcome ? outcome : { error };
      });
    },
  };
}

function partitionOf({ facts }: DeadLetter, { config }: TopicInfo): number {
  return facts.partition % config.partitions;
}

interface Range {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly verb: "ack";
}
