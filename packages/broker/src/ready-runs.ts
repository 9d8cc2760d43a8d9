/** What may be delivered, in order of offsets: what was taken over or handed back stands before what is read on. A run's entry may have to be read, and indexed for cutting, first. */
import type { LogEntry } from "@gmq/storage";
import { createEntrySlicer, type EntrySlicer } from "./entry-slicer.js";
import type { Run } from "./ledger.js";

/** A run whose entry may have to be read first. */
export interface ReadyRun extends Run {
  readonly entry: LogEntry | undefined;
}

/** A run with the bytes that go out. */
export interface CutRun extends Run {
  readonly bytes: LogEntry;
}

export interface ReadyRuns {
  readonly first: ReadyRun | undefined;
  /** Puts runs whose entries are not here in their places, all of them in one pass. */
  insert(runs: readonly Run[]): void;
  /** Adds an entry that was just read, behind everything. */
  append(entry: LogEntry): void;
  /** Takes as much of the first run as both bounds allow, at least one record; undefined when its entry has to be read or indexed first. */
  take(run: ReadyRun, recordsMax: number, bytesMax: number): CutRun | undefined;
  /** Gives runs their entries, as far as these are theirs. */
  attach(entries: readonly LogEntry[]): void;
  /** Makes a run that has its entry ready to be cut; one entry is, the last one that was asked for. @throws GmqError as `EntrySlicer.open` does */
  prepare(run: ReadyRun): Promise<void>;
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
  /** By offset; what stands before `#head` is gone. */
  #ready: ReadyRun[] = [];
  #head = 0;
  /** Of the entry that was cut last. */
  #slicer: EntrySlicer | undefined;

  get first(): ReadyRun | undefined {
    return this.#ready[this.#head];
  }

  insert(runs: readonly Run[]): void {
    if (runs.length === 0) return;
    const added = runs.map(({ baseOffset, recordCount, from, to }) => {
      return { baseOffset, recordCount, from, to, entry: undefined };
    });
    added.sort((left, right) => {
      const apart = offsetOf(left) - offsetOf(right);
      return apart < 0n ? -1 : apart > 0n ? 1 : 0;
    });
    const place = this.#placeOf(offsetOf(added[0] as ReadyRun));
    if (added.length === 1) {
      this.#ready.splice(place, 0, ...added);
      return;
    }
    // What stands before the first of them stays; the rest is merged, what was there before what is equal to it.
    const behind = this.#ready.splice(place);
    let at = 0;
    for (const run of added) {
      const offset = offsetOf(run);
      while (at < behind.length && offsetOf(behind[at] as ReadyRun) <= offset)
        this.#ready.push(behind[at++] as ReadyRun);
      this.#ready.push(run);
    }
    while (at < behind.length) this.#ready.push(behind[at++] as ReadyRun);
  }

  append(entry: LogEntry): void {
    const { baseOffset, recordCount } = entry;
    this.#ready.push({ baseOffset, recordCount, from: 0, to: recordCount, entry });
  }

  take(run: ReadyRun, recordsMax: number, bytesMax: number): CutRun | undefined {
    const { entry } = run;
    const isWhole = run.from === 0 && run.to === run.recordCount;
    if (entry !== undefined && isWhole && entry.recordCount <= recordsMax && entry.body.length <= bytesMax) {
      this.#shift();
      return { ...run, bytes: entry };
    }
    if (this.#slicer?.baseOffset !== run.baseOffset) return undefined;
    const bytes = this.#slicer.cut(run.from, Math.min(run.to, run.from + recordsMax), bytesMax);
    if (bytes === undefined) return undefined;
    const to = run.from + bytes.recordCount;
    if (to === run.to) this.#shift();
    else this.#ready[this.#head] = { ...run, from: to };
    return { ...run, to, bytes };
  }

  attach(entries: readonly LogEntry[]): void {
    const found = new Map(entries.map((entry) => [entry.baseOffset, entry]));
    const last = entries.at(-1)?.baseOffset ?? -1n;
    for (let at = this.#head; at < this.#ready.length; at++) {
      const run = this.#ready[at] as ReadyRun;
      if (run.baseOffset > last) break;
      this.#ready[at] = { ...run, entry: run.entry ?? found.get(run.baseOffset) };
    }
  }

  async prepare({ entry, from }: ReadyRun): Promise<void> {
    if (entry === undefined) return;
    if (this.#slicer?.baseOffset !== entry.baseOffset) this.#slicer = createEntrySlicer(entry);
    await this.#slicer.open(from);
  }

  takeOut(isMeant: (offset: bigint) => boolean): Run[] {
    const taken: Run[] = [];
    this.#replace(
      this.#ready.slice(this.#head).flatMap((run) => {
        const cuts = cutRun(run, isMeant);
        for (const { from, to, isOut } of cuts) if (isOut) taken.push({ ...run, from, to });
        return cuts.filter(({ isOut }) => !isOut).map(({ from, to }) => ({ ...run, from, to }));
      }),
    );
    return taken;
  }

  dropBelow(offset: bigint): void {
    this.#replace(this.#ready.slice(this.#head).filter(({ baseOffset }) => baseOffset >= offset));
  }

  clear(): void {
    this.#replace([]);
  }

  #replace(runs: ReadyRun[]): void {
    this.#ready = runs;
    this.#head = 0;
    this.#letGo();
  }

  #shift(): void {
    const gone = this.#ready[this.#head] as ReadyRun;
    // Its place is let go of later, its bytes now.
    this.#ready[this.#head++] = { ...gone, entry: undefined };
    if (this.#head * 2 > this.#ready.length) {
      this.#ready.splice(0, this.#head);
      this.#head = 0;
    }
    this.#letGo();
  }

  /** What was unpacked of an entry goes with the last run of it. */
  #letGo(): void {
    if (this.#slicer?.baseOffset !== this.first?.baseOffset) this.#slicer = undefined;
  }

  /** Where the first run above an offset stands. */
  #placeOf(offset: bigint): number {
    let low = this.#head;
    let high = this.#ready.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (offsetOf(this.#ready[middle] as ReadyRun) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function offsetOf({ baseOffset, from }: Run): bigint {
  return baseOffset + BigInt(from);
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
