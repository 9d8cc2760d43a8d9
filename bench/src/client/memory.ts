/** Who would fill the memory of others, if nothing were bounded: consumers that stop reading, and a producer that does not wait for answers. GMQ alone. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Driver } from "./driver.ts";
import { type Begin, runLoad } from "./loops.ts";
import { makePayloads } from "./payloads.ts";
import type { Task, TaskResult } from "./task.ts";

const stuckEntry = resolve(import.meta.dirname, "stuck-consumers-process.ts");
/** Sends in one turn of a producer that never stops. */
const sendsOfTurn = 64;
const tailMs = 20_000;

/** What the process of the stuck consumers is told. */
export interface StuckTask {
  readonly brokerUrl: string;
  readonly topic: string;
  readonly partitions: number;
  readonly groups: number;
  /** How long it reads nothing; it ends by itself after that. */
  readonly stuckMs: number;
}

/** Producers publish while a consumer of each of `load.groups` groups has its credit out and reads nothing any more. */
export async function runNeverRead(driver: Driver, task: Task, begin: Begin): Promise<TaskResult> {
  const { load, topic, addresses } = task;
  const stuck: ChildProcess = fork(stuckEntry, [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  try {
    const stuckMs = load.warmupMs + load.measureMs + tailMs;
    const { partitions, groups } = load;
    stuck.send({ brokerUrl: addresses.brokerUrl, topic, partitions, groups, stuckMs } satisfies StuckTask);
    await once(stuck, "message");
    const producer = await driver.createProducer();
    await producer.sendBatch(makePayloads(load).batch(1));
    await once(stuck, "message");
    return await runLoad(driver, { ...load, kind: "publish" }, begin);
  } finally {
    stuck.kill("SIGKILL");
  }
}

/** One producer sends and sends; what the client refuses for want of room is forgotten, as who does not wait for answers would. */
export async function runNeverStop(driver: Driver, { load }: Task, begin: Begin): Promise<TaskResult> {
  const producer = await driver.createProducer();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  let stored = 0;
  let open = 0;
  let stopped = false;
  const taken = (): void => {
    open--;
    stored++;
  };
  const refused = (error: unknown): void => {
    open--;
    if ((error as { readonly code?: unknown }).code !== "resource_exhausted") failed.reject(error);
  };
  const run = async (): Promise<void> => {
    while (!stopped) {
      for (let count = 0; count < sendsOfTurn; count++) {
        open++;
        producer.send(Buffer.alloc(load.recordBytes, 120)).then(taken, refused);
      }
      await turn();
    }
  };
  const running = Promise.race([run(), failed.promise]);
  await Promise.race([sleep(load.warmupMs), running]);
  begin();
  const before = stored;
  const startedMs = performance.now();
  await Promise.race([sleep(load.measureMs), running]);
  const elapsedMs = performance.now() - startedMs;
  const records = stored - before;
  stopped = true;
  await running;
  const deadlineMs = performance.now() + tailMs;
  while (open > 0) {
    if (performance.now() > deadlineMs) throw new Error(`${open} sends are not answered`);
    await sleep(10);
  }
  return { records, payloadBytes: records * load.recordBytes, elapsedMs, storedRecords: stored, latency: undefined };
}
