/**
 * Brings rejected records to their dead-letter topic: reads them, appends copies under a dedupe id, then settles the originals. Any step may fail or the process
 * may die after any step: what is not buried is owed still, and doing it again stores nothing twice.
 */
import { decodeEntry, GmqError, hasSeededBug, limits } from "@gmq/protocol";
import type { LogBatch, LogEntry, LogStore, Ownership, PendingEntry } from "../engine.js";
import { rejectedState } from "../log/entry-states.js";
import { deadLetterBatch, staysWhereItIs } from "./dead-letter-batch.js";
import type { DeadLetterTopics } from "./dead-letter-topics.js";
import type { BuriedEntry, OwedCopies, Rejection } from "./owed-copies.js";

/** Copies what is owed of some entries; answers with the error of each record, by offset, that is owed still. @throws GmqError `fenced` */
export type CopyOwed = (
  ownership: Ownership,
  entries: readonly BuriedEntry[],
) => Promise<ReadonlyMap<bigint, GmqError>>;

/** A record on its way to the dead-letter topic; without a batch there is nothing to copy, with an error it cannot be. */
interface Copy {
  readonly baseOffset: bigint;
  readonly index: number;
  readonly batch: LogBatch | undefined;
  readonly error?: GmqError;
}

const losesCopies = hasSeededBug("dead-letter-not-copied");
/** Payload of one append, about. */
const appendBytes = 1024 * 1024;

/** Makes the copier. */
export function createCopyOwed(
  store: OwedCopies,
  log: Pick<LogStore, "append" | "read">,
  topics: DeadLetterTopics,
): CopyOwed {
  async function* copies(ownership: Ownership, entries: readonly BuriedEntry[]): AsyncGenerator<Copy> {
    for (const { baseOffset, indexes } of entries) {
      const records = indexes.map((index) => ({ baseOffset, index }));
      const rejections = await store.rejections(ownership, records);
      const wanted = new Map<number, Rejection>();
      rejections.forEach((rejection, at) => {
        if (rejection !== undefined) wanted.set(indexes[at] as number, rejection);
      });
      if (wanted.size === 0) continue;
      const entry = await read(ownership, baseOffset);
      try {
        // Gone from the log, by retention or a lost tail: there is nothing that could be copied.
        if (entry === undefined) for (const index of wanted.keys()) yield { baseOffset, index, batch: undefined };
        else yield* copiesOf(ownership, entry, wanted);
      } catch (cause) {
        // Bytes that cannot be read must not hold up the copies of other entries.
        const error = GmqError.from(cause);
        for (const index of wanted.keys()) yield { baseOffset, index, batch: undefined, error };
      }
    }
  }

  async function* copiesOf(
    ownership: Ownership,
    entry: LogEntry,
    wanted: ReadonlyMap<number, Rejection>,
  ): AsyncGenerator<Copy> {
    const { baseOffset } = entry;
    for await (const record of decodeEntry(entry)) {
      const rejection = wanted.get(record.index);
      if (rejection === undefined) continue;
      const staysUncopied = staysWhereItIs(ownership, record) || (losesCopies && record.offset % 10n === 0n);
      const batch = staysUncopied ? undefined : await deadLetterBatch(ownership, record, rejection);
      yield { baseOffset, index: record.index, batch };
    }
  }

  async function read({ topic, partition }: Ownership, baseOffset: bigint): Promise<LogEntry | undefined> {
    const { entries } = await log.read({
      topic,
      partition,
      from: { offset: baseOffset },
      entriesMax: 1,
      bytesMax: 1,
    });
    return entries[0]?.baseOffset === baseOffset ? entries[0] : undefined;
  }

  /** Stores one append's worth of copies and settles the originals. */
  async function storeSome(ownership: Ownership, some: readonly Copy[], failed: Map<bigint, GmqError>): Promise<void> {
    const toCopy = some.filter(({ batch }) => batch !== undefined);
    const stored = new Set(some.filter(({ batch, error }) => batch === undefined && error === undefined));
    for (const copy of some) if (copy.error !== undefined) failed.set(offsetOf(copy), copy.error);
    if (toCopy.length > 0) {
      const outcomes = await append(
        ownership,
        toCopy.map(({ batch }) => batch as LogBatch),
      );
      toCopy.forEach((copy, at) => {
        const error = outcomes[at];
        if (error === undefined) stored.add(copy);
        else failed.set(offsetOf(copy), error);
      });
    }
    if (stored.size > 0) await store.bury(ownership, buried([...stored]));
  }

  /** The error of each copy, undefined for those that are stored. */
  async function append(ownership: Ownership, batches: readonly LogBatch[]): Promise<(GmqError | undefined)[]> {
    for (let attempt = 1; ; attempt++) {
      const place = await topics.placeFor(ownership);
      const [outcomes = []] = await log.append([{ ...place, batches }]);
      const errors = batches.map((_, at) => {
        const outcome = outcomes[at];
        if (outcome === undefined) return new GmqError("internal", "an append was left unanswered");
        return outcome.ok ? undefined : outcome.error;
      });
      // Deleted since it was looked up: it is made again, once.
      const isGone = errors.some((error) => error?.code === "topic_not_found" || error?.code === "partition_not_found");
      if (!isGone || attempt > 1) return errors;
      topics.forget(place.topic);
    }
  }

  return async (ownership, entries) => {
    const failed = new Map<bigint, GmqError>();
    let some: Copy[] = [];
    let bytes = 0;
    try {
      for await (const copy of copies(ownership, entries)) {
        some.push(copy);
        bytes += copy.batch?.records.length ?? 0;
        if (bytes < appendBytes && some.length < limits.deadLettersPerAppendMax) continue;
        await storeSome(ownership, some, failed);
        some = [];
        bytes = 0;
      }
      if (some.length > 0) await storeSome(ownership, some, failed);
      return failed;
    } catch (cause) {
      const error = GmqError.from(cause);
      if (error.code === "fenced") throw error;
      // What was buried before is asked for again by whoever sends again; it costs nothing.
      for (const { baseOffset, indexes } of entries)
        for (const index of indexes) failed.set(baseOffset + BigInt(index), error);
      return failed;
    }
  };
}

/** The rejected records of pending entries. */
export function owedIn(pending: readonly PendingEntry[]): BuriedEntry[] {
  const entries: BuriedEntry[] = [];
  for (const { baseOffset, states } of pending) {
    if (!states.includes(rejectedState)) continue;
    const indexes = [];
    for (let at = states.indexOf(rejectedState); at >= 0; at = states.indexOf(rejectedState, at + 1)) indexes.push(at);
    entries.push({ baseOffset, indexes });
  }
  return entries;
}

function buried(copies: readonly Copy[]): BuriedEntry[] {
  const byEntry = new Map<bigint, number[]>();
  for (const { baseOffset, index } of copies) {
    const indexes = byEntry.get(baseOffset);
    if (indexes === undefined) byEntry.set(baseOffset, [index]);
    else indexes.push(index);
  }
  return Array.from(byEntry, ([baseOffset, indexes]) => ({ baseOffset, indexes }));
}

function offsetOf({ baseOffset, index }: Copy): bigint {
  return baseOffset + BigInt(index);
}
