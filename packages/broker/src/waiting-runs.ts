/** Runs that wait for their retry time, each with a timer of its own. */
import type { DelayedRun, Run } from "./ledger.js";
import { cutRun } from "./ready-runs.js";

export interface WaitingRuns {
  /** Waits; a delay of 0 is none. */
  add(run: DelayedRun): void;
  /** Takes single records out and gives them with what is left of their delay; what lies between them waits on. */
  takeOut(isMeant: (offset: bigint) => boolean): DelayedRun[];
  /** No timer is left. */
  clear(): void;
}

const timerMsMax = 2_147_483_647;

/** Makes an empty one; `isDue` is called with each run whose time has come. */
export function createWaitingRuns(isDue: (run: Run) => void): WaitingRuns {
  return new TimedRuns(isDue);
}

/** A class, as a dispatcher is one. */
class TimedRuns implements WaitingRuns {
  readonly #isDue: (run: Run) => void;
  /** Made with the first run. */
  #waiting: Map<NodeJS.Timeout, { readonly run: Run; readonly dueMs: number }> | undefined;

  constructor(isDue: (run: Run) => void) {
    this.#isDue = isDue;
  }

  add(run: DelayedRun): void {
    this.#waiting ??= new Map();
    const waiting = this.#waiting;
    const timer = setTimeout(
      () => {
        waiting.delete(timer);
        this.#isDue(run);
      },
      Math.min(run.delayMs, timerMsMax),
    );
    waiting.set(timer, { run, dueMs: performance.now() + run.delayMs });
  }

  takeOut(isMeant: (offset: bigint) => boolean): DelayedRun[] {
    const taken: DelayedRun[] = [];
    for (const [timer, { run, dueMs }] of [...(this.#waiting ?? [])]) {
      const cuts = cutRun(run, isMeant);
      if (!cuts.some(({ isOut }) => isOut)) continue;
      clearTimeout(timer);
      this.#waiting?.delete(timer);
      const delayMs = Math.max(1, dueMs - performance.now());
      for (const { from, to, isOut } of cuts) {
        if (isOut) taken.push({ ...run, from, to, delayMs });
        else this.add({ ...run, from, to, delayMs });
      }
    }
    return taken;
  }

  clear(): void {
    if (this.#waiting === undefined) return;
    for (const timer of this.#waiting.keys()) clearTimeout(timer);
    this.#waiting.clear();
  }
}
