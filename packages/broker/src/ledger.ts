/**
 * What one assignment has handed to its consumer and what became of it. Pure. Entries that go out whole and come back whole cost nothing per record;
 * a state per record is made only for an entry that is cut or partly settled.
 */
import { limits } from "@gmq/protocol";
import type { EntrySettle, HandBacks, PendingEntry, SettleRange, SettleRefusal } from "@gmq/storage";
import {
  cut,
  done,
  type Entry,
  firstAfter,
  hasSettled,
  type Part,
  partsOf,
  runsWhere,
  statesOf,
  takeBack,
  unsettledParts,
  waiting,
  waitingSpans,
  withConsumer,
} from "./ledger-entries.js";
import { createOffsetSpans, type OffsetSpans } from "./offset-spans.js";
import { areApart, byFirstOffset, conflictsOf, createRefuse, isIdempotent, type Refusal } from "./settle-ranges.js";

/** Records `from` to `to - 1` of the entry at `baseOffset`, to be delivered. */
export interface Run {
  readonly baseOffset: bigint;
  readonly recordCount: number;
  readonly from: number;
  readonly to: number;
}

/** A run that waits for its retry time. */
export interface DelayedRun extends Run {
  readonly delayMs: number;
}

/** Failed attempts of a record, by its index in the entry. */
export interface AttemptsAt {
  readonly index: number;
  readonly attempts: number;
}

/** What a settlement of a consumer means for the store and for what is delivered next. */
export interface LedgerSettle {
  readonly entries: readonly EntrySettle[];
  readonly refusals: readonly SettleRefusal[];
  /** Handed back: deliver again at once. */
  readonly released: readonly Run[];
  /** Failed: deliver again later. */
  readonly delayed: readonly DelayedRun[];
}

export interface Ledger {
  /** Adds an entry that is about to be delivered; nothing of it is with the consumer yet. */
  add(baseOffset: bigint, recordCount: number): void;
  /** Adds an entry that an earlier owner left; returns what of it is to be delivered, and what later. */
  addPending(pending: PendingEntry): { readonly ready: readonly Run[]; readonly delayed: readonly DelayedRun[] };
  /** Notes that a run is with the consumer. */
  delivered(run: Run): void;
  /** Failed attempts of records of the run. */
  attempts(run: Run): readonly AttemptsAt[];
  /** How often records of the run were handed back; indexes are the entry's. Undefined: never. */
  handBacks(run: Run): HandBacks | undefined;
  /**
   * Splits a consumer's ranges by entry. What was never delivered, or is named twice, is refused; a record that is acked or rejected several times is so once.
   * Nothing changes until `settled`.
   */
  plan(ranges: readonly SettleRange[]): LedgerSettle;
  /**
   * The same for an operator, who names records one by one, wherever they are: with the consumer or waiting in the broker. What is settled is refused, and so is
   * to deliver again what is with the consumer, unless it is taken back from there.
   */
  planFor(ranges: readonly SettleRange[], takenBack: boolean): LedgerSettle;
  /** Where a record is. */
  stateOf(offset: bigint): "waiting" | "with consumer" | "settled";
  /** Notes that the store has taken these. */
  settled(entries: readonly EntrySettle[]): void;
  /** Every entry that is not wholly settled, with the indexes of its settled records. */
  settledIndexes(): ReadonlyMap<bigint, ReadonlySet<number>>;
  /** Takes records back that were settled here and are not settled in the store (it lost that); returns what is to be delivered again. */
  reopen(pending: PendingEntry, settled: ReadonlySet<number>): readonly Run[];
  /** Forgets entries below an offset: the log has them no more. */
  dropBelow(offset: bigint): void;
  /** Records that are with the consumer now; counted when asked. */
  readonly heldRecords: number;
}

/** What ranges that overlap share. */
interface Overlap {
  /** Records that wait in the broker. */
  readonly waiting: OffsetSpans;
  /** Records that a range of the settlement acks or rejects. */
  readonly ended: OffsetSpans;
  /** Records whose tries in place it may still name. */
  triesLeft: number;
}

/** Makes an empty ledger. */
export function createLedger(): Ledger {
  return new EntryLedger();
}

/** A class, as a dispatcher is one. */
class EntryLedger implements Ledger {
  /** By base offset, ascending. */
  readonly #entries: Entry[] = [];
  /** Above every offset that was ever with the consumer. */
  #deliveredEnd = -1n;

  add(baseOffset: bigint, recordCount: number): void {
    this.#insert({
      baseOffset,
      recordCount,
      unsettled: recordCount,
      states: undefined,
      shared: waiting,
      attempts: undefined,
      takeOvers: 0,
      releases: undefined,
    });
  }

  addPending({ baseOffset, recordCount, states: text, attempts, due, handBacks }: PendingEntry) {
    const states = new Uint8Array(recordCount);
    let unsettled = recordCount;
    for (let index = 0; index < text.length; index++) {
      if (text[index] === ".") continue;
      states[index] = done;
      unsettled--;
    }
    this.#insert({
      baseOffset,
      recordCount,
      unsettled,
      states: text === "" ? undefined : states,
      shared: waiting,
      attempts: attempts.length === 0 ? undefined : new Map(attempts.map((item) => [item.index, item.attempts])),
      takeOvers: handBacks.takeOvers,
      releases:
        handBacks.releases.length === 0
          ? undefined
          : new Map(handBacks.releases.map((item) => [item.index, item.releases])),
    });
    const dueAt = new Map(due.filter(({ inMs }) => inMs > 0).map(({ index, inMs }) => [index, inMs]));
    const delayed = Array.from(dueAt, ([index, delayMs]) => ({
      baseOffset,
      recordCount,
      from: index,
      to: index + 1,
      delayMs,
    }));
    const ready = runsWhere(recordCount, (index) => states[index] !== done && !dueAt.has(index)).map(([from, to]) => ({
      baseOffset,
      recordCount,
      from,
      to,
    }));
    return { ready, delayed };
  }

  delivered({ baseOffset, from, to }: Run): void {
    const entry = this.#find(baseOffset);
    if (entry === undefined) return;
    const end = baseOffset + BigInt(to);
    if (end > this.#deliveredEnd) this.#deliveredEnd = end;
    if (from === 0 && to === entry.recordCount && entry.states === undefined) {
      entry.shared = withConsumer;
      return;
    }
    const states = statesOf(entry);
    for (let index = from; index < to; index++) if (states[index] === waiting) states[index] = withConsumer;
  }

  attempts({ baseOffset, from, to }: Run): AttemptsAt[] {
    const known = this.#find(baseOffset)?.attempts;
    if (known === undefined) return [];
    return Array.from(known, ([index, attempts]) => ({ index, attempts })).filter(
      ({ index }) => index >= from && index < to,
    );
  }

  handBacks({ baseOffset, from, to }: Run): HandBacks | undefined {
    const entry = this.#find(baseOffset);
    if (entry === undefined || (entry.takeOvers === 0 && entry.releases === undefined)) return undefined;
    const releases = Array.from(entry.releases ?? [], ([index, times]) => ({ index, releases: times }));
    return { takeOvers: entry.takeOvers, releases: releases.filter(({ index }) => index >= from && index < to) };
  }

  plan(ranges: readonly SettleRange[]): LedgerSettle {
    const byEntry = new Map<Entry, SettleRange[]>();
    const refusals: SettleRefusal[] = [];
    const released: Run[] = [];
    const delayed: DelayedRun[] = [];
    const conflicting = conflictsOf(ranges);
    const refuse = createRefuse();
    const overlap = areApart(ranges) ? undefined : this.#overlapOf(ranges);
    for (const range of ranges) {
      if (conflicting.has(range)) {
        refusals.push(refuse(range, "invalid_argument"));
        continue;
      }
      const parts = this.#partsOf(range, overlap);
      if (!Array.isArray(parts)) {
        refusals.push(refuse(range, parts));
        continue;
      }
      // What is settled is never delivered again: a retry of it is refused, a release passes over it. To end it again changes nothing.
      const own = range.verb === "release" ? parts.flatMap(unsettledParts) : parts;
      if (!isIdempotent(range) && (own.length === 0 || (range.verb === "retry" && own.some(hasSettled)))) {
        refusals.push(refuse(range, "already_settled"));
        continue;
      }
      for (const { entry, from, to } of own) {
        const { baseOffset, recordCount } = entry;
        if (range.verb === "release") released.push({ baseOffset, recordCount, from, to });
        else if (range.verb === "retry" && range.inPlace !== true)
          delayed.push({ baseOffset, recordCount, from, to, delayMs: range.delayMs ?? 0 });
        const list = byEntry.get(entry) ?? [];
        list.push({ ...range, firstOffset: baseOffset + BigInt(from), lastOffset: baseOffset + BigInt(to - 1) });
        byEntry.set(entry, list);
      }
    }
    const settles = Array.from(byEntry, ([{ baseOffset, recordCount }, own]) => ({
      baseOffset,
      recordCount,
      ranges: own,
    }));
    return { entries: settles, refusals, released, delayed };
  }

  /** What of the ranges waits here, looked up once for all of them: they may name the same records thousands of times. */
  #overlapOf(ranges: readonly SettleRange[]): Overlap {
    const named = createOffsetSpans();
    const inOrder = ranges.filter((range) => range.firstOffset <= range.lastOffset).sort(byFirstOffset);
    for (const range of inOrder) named.add(range);
    const waits = createOffsetSpans(waitingSpans(this.#entries, named.spans));
    return { waiting: waits, ended: createOffsetSpans(), triesLeft: limits.creditRecordsMax };
  }

  /** The parts of a range, but for records that an earlier one of the settlement ends; or why it is refused. */
  #partsOf(range: SettleRange, overlap: Overlap | undefined): Part[] | Refusal {
    if (range.lastOffset >= this.#deliveredEnd) return "not_delivered";
    if (overlap === undefined) return cut(this.#entries, range) ?? "not_delivered";
    if (range.lastOffset < range.firstOffset || overlap.waiting.touches(range)) return "not_delivered";
    // A try in place counts each time that it is said.
    if (range.verb === "retry" && range.inPlace === true) {
      overlap.triesLeft -= Number(range.lastOffset - range.firstOffset) + 1;
      if (overlap.triesLeft < 0) return "too_many";
    }
    const spans = isIdempotent(range) ? overlap.ended.add(range) : [range];
    return spans.flatMap((span) => partsOf(this.#entries, span));
  }

  planFor(ranges: readonly SettleRange[], takenBack: boolean): LedgerSettle {
    const byEntry = new Map<Entry, SettleRange[]>();
    const refusals: SettleRefusal[] = [];
    const released: Run[] = [];
    const refuse = createRefuse();
    for (const range of ranges) {
      const { entry, index, state } = this.#look(range.firstOffset);
      if (entry === undefined || state === done) {
        refusals.push(refuse(range, "already_settled"));
      } else if (range.verb === "release" && state === withConsumer && !takenBack) {
        refusals.push(refuse(range, "with_consumer"));
      } else {
        const { baseOffset, recordCount } = entry;
        if (range.verb === "release") released.push({ baseOffset, recordCount, from: index, to: index + 1 });
        const list = byEntry.get(entry);
        if (list === undefined) byEntry.set(entry, [range]);
        else list.push(range);
      }
    }
    const settles = Array.from(byEntry, ([{ baseOffset, recordCount }, own]) => ({
      baseOffset,
      recordCount,
      ranges: own,
    }));
    return { entries: settles, refusals, released, delayed: [] };
  }

  settled(settles: readonly EntrySettle[]): void {
    for (const { baseOffset, ranges } of settles) {
      const entry = this.#find(baseOffset);
      if (entry === undefined) continue;
      for (const range of ranges) {
        const from = Number(range.firstOffset - baseOffset);
        const to = Number(range.lastOffset - baseOffset) + 1;
        if (!isIdempotent(range)) takeBack(entry, from, to, range);
        else if (from === 0 && to === entry.recordCount) entry.unsettled = 0;
        else settleRange(entry, from, to);
      }
      if (entry.unsettled === 0) this.#remove(entry);
    }
  }

  stateOf(offset: bigint): "waiting" | "with consumer" | "settled" {
    const { state } = this.#look(offset);
    return state === done ? "settled" : state === waiting ? "waiting" : "with consumer";
  }

  settledIndexes(): Map<bigint, Set<number>> {
    return new Map(
      this.#entries.map(({ baseOffset, states }) => {
        const indexes = new Set<number>();
        states?.forEach((state, index) => {
          if (state === done) indexes.add(index);
        });
        return [baseOffset, indexes];
      }),
    );
  }

  reopen({ baseOffset, recordCount, states: text, handBacks }: PendingEntry, settled: ReadonlySet<number>): Run[] {
    const isLost = (index: number): boolean => settled.has(index) && (text[index] ?? ".") === ".";
    const runs = runsWhere(recordCount, isLost).map(([from, to]) => ({ baseOffset, recordCount, from, to }));
    if (runs.length === 0) return [];
    const { takeOvers } = handBacks;
    const states = new Uint8Array(recordCount).fill(done);
    // Gone when the rest of it was settled meanwhile.
    this.#insert({
      baseOffset,
      recordCount,
      unsettled: 0,
      states,
      shared: waiting,
      attempts: undefined,
      takeOvers,
      releases: undefined,
    });
    const entry = this.#find(baseOffset) as Entry;
    for (const { from, to } of runs) {
      statesOf(entry).fill(waiting, from, to);
      entry.unsettled += to - from;
    }
    return runs;
  }

  dropBelow(offset: bigint): void {
    this.#entries.splice(0, firstAfter(this.#entries, offset - 1n));
  }

  get heldRecords(): number {
    let held = 0;
    for (const { states, shared, recordCount } of this.#entries) {
      if (states === undefined) held += shared === withConsumer ? recordCount : 0;
      else for (const state of states) if (state === withConsumer) held++;
    }
    return held;
  }

  #insert(entry: Entry): void {
    const at = firstAfter(this.#entries, entry.baseOffset);
    if (this.#entries[at - 1]?.baseOffset === entry.baseOffset) return;
    this.#entries.splice(at, 0, entry);
  }

  #find(baseOffset: bigint): Entry | undefined {
    const entry = this.#entries[firstAfter(this.#entries, baseOffset) - 1];
    return entry?.baseOffset === baseOffset ? entry : undefined;
  }

  /** A record's entry, its index there and its state; what no entry holds is done. */
  #look(offset: bigint) {
    const entry = this.#entries[firstAfter(this.#entries, offset) - 1];
    const index = entry === undefined ? 0 : Number(offset - entry.baseOffset);
    const isHeld = entry !== undefined && index < entry.recordCount;
    return { entry, index, state: isHeld ? (entry.states?.[index] ?? entry.shared) : done };
  }

  #remove(entry: Entry): void {
    const at = this.#entries.indexOf(entry);
    if (at >= 0) this.#entries.splice(at, 1);
  }
}

function settleRange(entry: Entry, from: number, to: number): void {
  const states = statesOf(entry);
  for (let index = from; index < to; index++) {
    if (states[index] === done) continue;
    states[index] = done;
    entry.unsettled--;
    entry.attempts?.delete(index);
    entry.releases?.delete(index);
  }
}
