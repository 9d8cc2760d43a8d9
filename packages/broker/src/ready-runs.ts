/** What may be delivered, in order of offsets: what was taken over or handed back stands before what is read on. A run's entry may have to be read, and indexed for cutting, first. */
import type { LogEntry } from "@gmq/storage";
import type { EntrySlicer } from "./entry-slicer.js";
import type { Run } from "./ledger.js";

/** A run whose entry may have to be read first. */
export interface ReadyRun extends Run {
  readonly slicer: EntrySlicer | undefined;
  readonly entry: LogEntry | undefined;
}

/** A run with the bytes that go out. */
export interface CutRun extends Run {
  readonly bytes: LogEntry;
}

export interface ReadyRuns {
  readonly first: ReadyRun | undefined;
  /** Puts a run whose entry is not here in its place. */
  insert(run: Run): void;
  /** Adds an entry that was just read, behind everything. */
  append(entry: LogEntry): void;
  /** Takes as much of the first run as both bounds allow, at least one record; undefined when its entry has to be read or indexed first. */
  take(run: ReadyRun, recordsMax: number, bytesMax: number): CutRun | undefined;
  /** Gives runs their entries, as far as these are theirs. */
  attach(entries: readonly LogEntry[]): void;
  /** Makes the runs of an entry ready to be cut. */
  index(baseOffset: bigint, slicer: EntrySlicer): void;
  /** Takes single records out, wherever they stand; what lies between them stays. */
  takeOut(isMeant: (offset: bigint) => boolean): Run[];
  /** Drops what the log has no more. */
  dropBelow(offset: bigint): void;
  clear(): void;
}

/** Makes an empty queue. */
export function createReadyRuns(): ReadyRuns {
  return new RunQueue();
}

/** A class, as credit is one. */
class RunQueue implements ReadyRuns {
  #ready: ReadyRun[] = [];

  get first(): ReadyRun | undefined {
    return this.#ready[0];
  }

  insert({ baseOffset, recordCount, from, to }: Run): void {
    const offset = baseOffset + BigInt(from);
    const at = this.#ready.findIndex((other) => other.baseOffset + BigInt(other.from) > offset);
    const run = { baseOffset, recordCount, from, to, entry: undefined, slicer: undefined };
    this.#ready.splice(at < 0 ? this.#ready.length : at, 0, run);
  }

  append(entry: LogEntry): void {
    const { baseOffset, recordCount } = entry;
    this.#ready.push({ baseOffset, recordCount, from: 0, to: recordCount, entry, slicer: undefined });
  }

  take(run: ReadyRun, recordsMax: number, bytesMax: number): CutRun | undefined {
    const { entry, slicer } = run;
    const isWhole = run.from === 0 && run.to === run.recordCount;
    if (entry !== undefined && isWhole && entry.recordCount <= recordsMax && entry.body.length <= bytesMax) {
      this.#ready.shift();
      return { ...run, bytes: entry };
    }
    if (slicer === undefined) return undefined;
    const to = fitting(slicer, run.from, Math.min(run.to, run.from + recordsMax), bytesMax);
    if (to === run.to) this.#ready.shift();
    else this.#ready[0] = { ...run, from: to };
    return { ...run, to, bytes: slicer.slice(run.from, to) };
  }

  attach(entries: readonly LogEntry[]): void {
    const found = new Map(entries.map((entry) => [entry.baseOffset, entry]));
    this.#ready.forEach((run, at) => {
      const entry = run.entry ?? found.get(run.baseOffset);
      if (entry !== undefined) this.#ready[at] = { ...run, entry };
    });
  }

  index(baseOffset: bigint, slicer: EntrySlicer): void {
    this.#ready.forEach((run, at) => {
      if (run.baseOffset === baseOffset) this.#ready[at] = { ...run, slicer };
    });
  }

  takeOut(isMeant: (offset: bigint) => boolean): Run[] {
    const taken: Run[] = [];
    this.#ready = this.#ready.flatMap((run) => {
      const cuts = cutRun(run, isMeant);
      for (const { from, to, isOut } of cuts) if (isOut) taken.push({ ...run, from, to });
      return cuts.filter(({ isOut }) => !isOut).map(({ from, to }) => ({ ...run, from, to }));
    });
    return taken;
  }

  dropBelow(offset: bigint): void {
    const first = this.#ready.findIndex(({ baseOffset }) => baseOffset >= offset);
    this.#ready.splice(0, first < 0 ? this.#ready.length : first);
  }

  clear(): void {
    this.#ready.length = 0;
  }
}

/** Cuts a run into single records that are meant and the runs between them. */
export function cutRun(
  { baseOffset, from, to }: Run,
  isMeant: (offset: bigint) => boolean,
): { from: number; to: number; readonly isOut: boolean }[] {
  const cuts: { from: number; to: number; readonly isOut: boolean }[] = [];
  for (let index = from; index < to; index++) {
    const isOut = isMeant(baseOffset + BigInt(index));
    const last = cuts.at(-1);
    if (last === undefined || isOut || last.isOut) cuts.push({ from: index, to: index + 1, isOut });
    else last.to = index + 1;
  }
  return cuts;
}

/** Where to cut, so that the bytes fit: at least one record. */
function fitting(slicer: EntrySlicer, from: number, to: number, bytesMax: number): number {
  let end = to;
  while (end > from + 1 && slicer.sliceBytes(from, end) > bytesMax) end = from + Math.max(1, (end - from) >>> 1);
  return end;
}
