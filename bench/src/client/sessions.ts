/**
 * W9: thousands of idle sessions on one broker, each a connection and a group of its own. Then one record to all of them at once, which is as many deliveries as there
 * are sessions, or at a rate one record to each.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createHistogram } from "../measure/histogram.ts";
import { openFloorSessions } from "./floor-sessions.ts";
import { openGmqSessions } from "./gmq-sessions.ts";
import type { ClientMessage, Task, TaskResult } from "./task.ts";

/** The sessions of a system. */
export interface Sessions {
  open(index: number): Promise<void>;
  /** Sends a record to one, or to all; `handled` is told of each. */
  send(to: number | "all"): void;
  close(): Promise<void>;
}

/** `handled` is called with the session that handled its record, `failed` when something broke. */
export type OpenSessions = (
  task: Task,
  handled: (index: number) => void,
  failed: (error: unknown) => void,
) => Promise<Sessions>;

const openedAtOnce = 50;
/** How long the last of them may take. */
const tailMs = 30_000;

/** Opens `load.consumers` sessions, measures while they idle, then sends and waits until all is handled. */
export async function runSessions(
  task: Task,
  tell: (message: ClientMessage) => void,
): Promise<{ readonly result: TaskResult; close(): Promise<void> }> {
  const { consumers, ratePerSecond, warmupMs, measureMs, recordBytes } = task.load;
  const histogram = createHistogram();
  /** When the record of each was due: what is sent late is late. */
  const dueMs = new Float64Array(consumers);
  const all = Promise.withResolvers<void>();
  let handled = 0;
  const sessions = await (task.system === "floor-http2" ? openFloorSessions : openGmqSessions)(
    task,
    (index) => {
      histogram.add(performance.now() - (dueMs[index] as number));
      if (++handled === consumers) all.resolve();
    },
    all.reject,
  );

  async function sendOneByOne(): Promise<void> {
    const startMs = performance.now();
    for (let sent = 0; sent < consumers; sent++) {
      const due = startMs + (sent * 1_000) / ratePerSecond;
      if (due > performance.now()) await sleep(due - performance.now());
      // Far apart, so that no two that follow one another were opened together.
      const index = (sent * 7_919) % consumers;
      // A timer may be up to a millisecond early.
      dueMs[index] = Math.min(due, performance.now());
      sessions.send(index);
    }
  }

  for (let from = 0; from < consumers; from += openedAtOnce) {
    const indexes = Array.from({ length: Math.min(openedAtOnce, consumers - from) }, (_, index) => from + index);
    await Promise.all(indexes.map(sessions.open));
  }
  await sleep(warmupMs);
  tell({ type: "begin" });
  await sleep(measureMs);
  tell({ type: "mark" });
  if (ratePerSecond > 0) await sendOneByOne();
  else {
    dueMs.fill(performance.now());
    sessions.send("all");
  }
  const late = sleep(tailMs, undefined, { ref: false }).then(() => {
    throw new Error(`${handled} of ${consumers} records were handled`);
  });
  await Promise.race([all.promise, late]);
  return {
    result: {
      records: consumers,
      payloadBytes: consumers * recordBytes,
      elapsedMs: measureMs,
      storedRecords: ratePerSecond === 0 ? 1 : consumers,
      latency: histogram.summary(),
    },
    close: sessions.close,
  };
}
