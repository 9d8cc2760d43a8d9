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
  const waiting = new Map<NodeJS.Timeout, { readonly run: Run; readonly dueMs: number }>();

  function add(run: DelayedRun): void {
    const timer = setTimeout(
      () => {
        waiting.delete(timer);
        isDue(run);
      },
      Math.min(run.delayMs, timerMsMax),
    );
    waiting.set(timer, { run, dueMs: performance.now() + run.delayMs });
  }

  return {
    add,
    takeOut(isMeant) {
      const taken: DelayedRun[] = [];
      for (const [timer, { run, dueMs }] of [...waiting]) {
        const cuts = cutRun(run, isMeant);
        if (!cuts.some(({ isOut }) => isOut)) continue;
        clearTimeout(timer);
        waiting.delete(timer);
        const delayMs = Math.max(1, dueMs - performance.now());
        for (const { from, to, isOut } of cuts) {
          if (isOut) taken.push({ ...run, from, to, delayMs });
          else add({ ...run, from, to, delayMs });
        }
      }
      return taken;
    },
    clear() {
      for (const timer of waiting.keys()) clearTimeout(timer);
      waiting.clear();
    },
  };
}
