/**
 * Consumers in a process that stops reading: one session and one group each. Says when all of them are there, again when each has a record, and then blocks its only
 * thread, so that everything that is sent to it has to wait somewhere.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@gmq/client";
import type { StuckTask } from "./memory.ts";

/** Longer than a round: who is cut off for silence holds nothing any more. */
const sessionTimeoutMs = 60_000;

async function run({ brokerUrl, topic, partitions, groups, stuckMs }: StuckTask): Promise<void> {
  const firsts: Promise<void>[] = [];
  for (let number = 0; number < groups; number++) {
    const gmq = await connect({ brokers: [brokerUrl], clientId: `bench-stuck-${number}` });
    const first = Promise.withResolvers<void>();
    firsts.push(first.promise);
    const subscription = gmq.subscribe(topic, { group: `${topic}-stuck-${number}`, sessionTimeoutMs }, () => {
      first.resolve();
      return new Promise<void>(() => undefined);
    });
    while (subscription.assignments.length < partitions) await sleep(20);
  }
  process.send?.("there");
  await Promise.all(firsts);
  process.send?.("stuck", () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stuckMs);
    process.exit();
  });
}

process.once("message", (task: StuckTask) => {
  run(task).catch((error: unknown) => {
    throw error;
  });
});
