import { Worker } from "node:worker_threads";

/** Calls `tick` every millisecond, on time. */
export interface Pacer {
  stop(): Promise<void>;
}

/**
 * Starts a thread that sleeps until each whole millisecond after `startMs` and wakes this one. Node's timers know whole milliseconds from when they were set, so a loop of
 * `setTimeout(1)` is late by 0.6 ms in the median, which would count as the latency of whatever is measured.
 * @param startMs of `performance.now()`
 */
export function startPacer(startMs: number, tick: () => void): Pacer {
  const worker = new Worker(new URL("pacer-thread.ts", import.meta.url), {
    workerData: { startMs: performance.timeOrigin + startMs },
  });
  worker.on("message", tick);
  return {
    async stop() {
      await worker.terminate();
    },
  };
}
