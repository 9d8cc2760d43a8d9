/** Runs that wait for their retry time: a heap, and one timer for the run that is due next. */
import type { DelayedRun, Run } from "./ledger.js";
import { cutRun } from "./ready-runs.js";

export interface WaitingRuns {
  /** Records that wait. */
  readonly records: number;
  /** Waits; a delay of 0 is none. */
  add(run: DelayedRun): void;
  /** Takes single records out and gives them with what is left of their delay; what lies between them waits on. */
  takeOut(isMeant: (offset: bigint) => boolean): DelayedRun[];
  /** No timer is left. */
  clear(): void;
}

interface WaitingRun {
  readonly run: Run;
  readonly dueMs: number;
}

const timerMsMax = 2_147_483_647;

/** Makes an empty one; `areDue` is called with the runs whose time has come, what is due together at once. */
export function createWaitingRuns(areDue: (runs: readonly Run[]) => void): WaitingRuns {
  return new TimedRuns(areDue);
}

/** A class, as a dispatcher is one. */
class TimedRuns implements WaitingRuns {
  readonly #areDue: (runs: readonly Run[]) => void;
  /** Each is due no later than those at twice its place and behind. Made with the first run. */
  #heap: WaitingRun[] | undefined;
  #records = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;

  constructor(areDue: (runs: readonly Run[]) => void) {
    this.#areDue = areDue;
  }

  get records(): number {
    return this.#records;
  }

  add(run: DelayedRun): void {
    this.#put({ run, dueMs: performance.now() + run.delayMs });
    this.#arm();
  }

  takeOut(isMeant: (offset: bigint) => boolean): DelayedRun[] {
    const before = this.#heap ?? [];
    const taken: DelayedRun[] = [];
    const nowMs = performance.now();
    this.clear();
    for (const { run, dueMs } of before) {
      for (const { from, to, isOut } of cutRun(run, isMeant)) {
        if (isOut) taken.push({ ...run, from, to, delayMs: Math.max(1, dueMs - nowMs) });
        else this.#put({ run: { ...run, from, to }, dueMs });
      }
    }
    this.#arm();
    return taken.sort((left, right) => left.delayMs - right.delayMs);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    this.#heap = undefined;
    this.#records = 0;
  }

  #arm(): void {
    const next = this.#heap?.[0];
    if (next === undefined || next.dueMs >= this.#timerDueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = next.dueMs;
    // A timer may run up to a millisecond before its time, and none is longer than 24 days.
    const delayMs = Math.min(timerMsMax, Math.max(1, next.dueMs - performance.now() + 1));
    this.#timer = setTimeout(() => this.#tell(), delayMs);
  }

  #tell(): void {
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    const due: Run[] = [];
    for (let next = this.#heap?.[0]; next !== undefined && next.dueMs <= nowMs; next = this.#heap?.[0]) {
      this.#removeFirst();
      due.push(next.run);
    }
    this.#arm();
    if (due.length > 0) this.#areDue(due);
  }

  #put(waiting: WaitingRun): void {
    this.#heap ??= [];
    const heap = this.#heap;
    this.#records += waiting.run.to - waiting.run.from;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const other = heap[above] as WaitingRun;
      if (other.dueMs <= waiting.dueMs) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = waiting;
  }

  #removeFirst(): void {
    const heap = this.#heap ?? [];
    const first = heap[0] as WaitingRun;
    this.#records -= first.run.to - first.run.from;
    const last = heap.pop() as WaitingRun;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if ((heap[below + 1]?.dueMs ?? Number.POSITIVE_INFINITY) < (heap[below] as WaitingRun).dueMs) below++;
      if ((heap[below] as WaitingRun).dueMs >= last.dueMs) break;
      heap[at] = heap[below] as WaitingRun;
      at = below;
    }
    heap[at] = last;
  }
}
