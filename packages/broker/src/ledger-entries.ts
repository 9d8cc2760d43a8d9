/** The entries of a ledger and the state of each of their records. Pure. */
import type { SettleRange } from "@gmq/storage";
import type { OffsetSpan } from "./offset-spans.js";

export const waiting = 0;
export const withConsumer = 1;
export const done = 2;

/** An entry that is not wholly settled. */
export interface Entry {
  readonly baseOffset: bigint;
  readonly recordCount: number;
  unsettled: number;
  /** One byte a record; undefined while all records share `shared`. */
  states: Uint8Array | undefined;
  shared: typeof waiting | typeof withConsumer;
  attempts: Map<number, number> | undefined;
  readonly takeOvers: number;
  releases: Map<number, number> | undefined;
}

/** A failed or released record is the broker's again, unless it is retried in place. */
export function takeBack(entry: Entry, from: number, to: number, { verb, inPlace }: SettleRange): void {
  const states = statesOf(entry);
  for (let index = from; index < to; index++) {
    if (states[index] === done) continue;
    if (verb === "release" || inPlace !== true) states[index] = waiting;
    if (verb === "retry") {
      entry.attempts ??= new Map();
      entry.attempts.set(index, (entry.attempts.get(index) ?? 0) + 1);
    } else {
      entry.releases ??= new Map();
      entry.releases.set(index, (entry.releases.get(index) ?? 0) + 1);
    }
  }
}

/** Records of one entry. */
export interface Part {
  readonly entry: Entry;
  readonly from: number;
  readonly to: number;
}

/** The parts of a part that are not settled. */
export function unsettledParts({ entry, from, to }: Part): Part[] {
  const { states } = entry;
  if (states === undefined) return [{ entry, from, to }];
  return runsWhere(to - from, (index) => states[from + index] !== done).map(([first, end]) => ({
    entry,
    from: from + first,
    to: from + end,
  }));
}

export function hasSettled({ entry, from, to }: Part): boolean {
  return entry.states?.subarray(from, to).includes(done) === true;
}

/** The parts of a span by entry. Offsets that no entry holds were settled before: an entry leaves the ledger when all of it is. */
export function partsOf(entries: readonly Entry[], { firstOffset, lastOffset }: OffsetSpan): Part[] {
  const parts: Part[] = [];
  let at = Math.max(0, firstAfter(entries, firstOffset) - 1);
  for (let entry = entries[at]; entry !== undefined && entry.baseOffset <= lastOffset; entry = entries[++at]) {
    const first = firstOffset - entry.baseOffset;
    const from = first < 0n ? 0 : Number(first);
    const to = Math.min(entry.recordCount, Number(lastOffset - entry.baseOffset) + 1);
    if (from < to) parts.push({ entry, from, to });
  }
  return parts;
}

/** The parts of a range by entry, undefined when some record of it is not with the consumer. */
export function cut(entries: readonly Entry[], range: OffsetSpan): Part[] | undefined {
  if (range.lastOffset < range.firstOffset) return undefined;
  const parts = partsOf(entries, range);
  return parts.every(({ entry, from, to }) => isWithConsumer(entry, from, to)) ? parts : undefined;
}

/** The records of the spans that wait in the broker, in order when the spans are. */
export function waitingSpans(entries: readonly Entry[], spans: readonly OffsetSpan[]): OffsetSpan[] {
  return spans.flatMap((span) =>
    partsOf(entries, span).flatMap(({ entry: { baseOffset, states, shared }, from, to }) =>
      runsWhere(to - from, (index) => (states?.[from + index] ?? shared) === waiting).map(([first, end]) => ({
        firstOffset: baseOffset + BigInt(from + first),
        lastOffset: baseOffset + BigInt(from + end - 1),
      })),
    ),
  );
}

function isWithConsumer(entry: Entry, from: number, to: number): boolean {
  if (entry.states === undefined) return entry.shared === withConsumer;
  for (let index = from; index < to; index++) if (entry.states[index] === waiting) return false;
  return true;
}

export function statesOf(entry: Entry): Uint8Array {
  entry.states ??= new Uint8Array(entry.recordCount).fill(entry.shared);
  return entry.states;
}

/** Index of the first entry whose base offset is above `offset`. */
export function firstAfter(entries: readonly Entry[], offset: bigint): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle] as Entry).baseOffset <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The runs of indexes for which the test holds. */
export function runsWhere(count: number, test: (index: number) => boolean): [from: number, to: number][] {
  const runs: [number, number][] = [];
  let from = -1;
  for (let index = 0; index <= count; index++) {
    const holds = index < count && test(index);
    if (holds && from < 0) from = index;
    if (!holds && from >= 0) {
      runs.push([from, index]);
      from = -1;
    }
  }
  return runs;
}
