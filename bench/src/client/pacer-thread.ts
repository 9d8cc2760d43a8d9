import { parentPort, workerData } from "node:worker_threads";

const { startMs } = workerData as { readonly startMs: number };
const never = new Int32Array(new SharedArrayBuffer(4));

// Blocks this thread for good: it ends when it is terminated.
for (let due = startMs; ; due++) {
  const waitMs = due - (performance.timeOrigin + performance.now());
  if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs);
  parentPort?.postMessage(undefined);
}
