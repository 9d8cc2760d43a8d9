/** W9: thousands of idle consumer sessions on one broker, each a connection and a group of its own, then one record to each. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Gmq } from "@gmq/client";
import { createHistogram } from "../measure/histogram.ts";
import type { ClientMessage, Task, TaskResult } from "./task.ts";

const openedAtOnce = 50;

/** Opens `load.consumers` sessions, measures while they idle, then sends one record and waits until each session has handled it. */
export async function runSessions(
  { addresses, topic, load }: Task,
  tell: (message: ClientMessage) => void,
): Promise<{ readonly result: TaskResult; close(): Promise<void> }> {
  const brokers = [addresses.brokerUrl];
  const admin = await connect({ brokers });
  await admin.admin.createTopic(topic, { partitions: load.partitions });
  const histogram = createHistogram();
  const sessions: Gmq[] = [];
  const all = Promise.withResolvers<void>();
  let handled = 0;
  let sentMs = 0;

  async function open(index: number): Promise<void> {
    const gmq = await connect({ brokers, timeoutMs: 60_000 });
    sessions.push(gmq);
    const subscription = gmq.subscribe(topic, { group: `${topic}-${index}`, sessionTimeoutMs: 60_000 }, () => {
      histogram.add(performance.now() - sentMs);
      if (++handled === load.consumers) all.resolve();
    });
    subscription.closed.catch(all.reject);
    for await (const event of subscription.status()) if (event.type === "assigned") return;
  }

  for (let from = 0; from < load.consumers; from += openedAtOnce) {
    const indexes = Array.from({ length: Math.min(openedAtOnce, load.consumers - from) }, (_, index) => from + index);
    await Promise.all(indexes.map(open));
  }
  await sleep(load.warmupMs);
  tell({ type: "begin" });
  await sleep(load.measureMs);
  tell({ type: "mark" });
  await using producer = admin.producer();
  sentMs = performance.now();
  await producer.send(topic, { partition: 0, value: Buffer.alloc(load.recordBytes, 120) });
  await all.promise;
  return {
    result: {
      records: load.consumers,
      payloadBytes: load.consumers * load.recordBytes,
      elapsedMs: load.measureMs,
      storedRecords: 1,
      latency: histogram.summary(),
    },
    async close() {
      await Promise.all(sessions.map((gmq) => gmq.close()));
      await admin.admin.deleteTopic(topic);
      await admin.close();
    },
  };
}
