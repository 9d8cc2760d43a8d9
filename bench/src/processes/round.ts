/** One round: a fresh client process runs a load on a system, and every process is watched while it is measured. */
import { fork } from "node:child_process";
import { join, resolve } from "node:path";
import type { ClientMessage, Load, SystemName, TaskResult } from "../client/task.ts";
import { forgetPeak, type ProcessUsage, readProcessUsage } from "../measure/process-usage.ts";
import type { Servers } from "./servers.ts";

/** What a round measured. */
export interface RoundResult extends TaskResult {
  /** By process name, `client` among them. */
  readonly processes: Readonly<Record<string, ProcessCost>>;
  /** Bytes of Redis memory for each stored record; undefined without a Redis. */
  readonly redisBytesPerRecord: number | undefined;
}

/** One process in the measured time. */
export interface ProcessCost {
  readonly cpuUs: number;
  /** At the end. */
  readonly rssBytes: number;
  /** The most in the measured time. */
  readonly peakRssBytes: number;
}

export interface RoundSpec {
  readonly system: SystemName;
  readonly topic: string;
  readonly load: Load;
  readonly profileFolder: string | undefined;
}

const entry = resolve(import.meta.dirname, "../client-process.ts");
/** Beside the measured time, for preparing and cleaning up. */
const roundMsMax = 180_000;

/** Runs a round. @throws when the client fails or takes too long */
export async function runRound(
  servers: Servers,
  { system, topic, load, profileFolder }: RoundSpec,
): Promise<RoundResult> {
  const { addresses, processes, redisBytes } = await servers.of(system);
  const before = await redisBytes();
  const profile =
    profileFolder === undefined
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${join(profileFolder)}`, `--cpu-prof-name=client-${topic}.cpuprofile`];
  const child = fork(entry, [], { execArgv: profile, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const watched = [{ name: "client", pid: child.pid as number }, ...processes];
  const usage = (): (ProcessUsage | undefined)[] => watched.map(({ pid }) => readProcessUsage(pid));
  let begun: (ProcessUsage | undefined)[] = [];
  let marked: (ProcessUsage | undefined)[] | undefined;
  let ended: (ProcessUsage | undefined)[] = [];
  let result: TaskResult | undefined;
  let after: number | undefined;
  const timer = setTimeout(() => child.kill("SIGKILL"), roundMsMax + load.measureMs);
  await new Promise<void>((done, reject) => {
    child.on("message", (message: ClientMessage) => {
      switch (message.type) {
        case "begin":
          for (const { pid } of watched) forgetPeak(pid);
          begun = usage();
          return;
        case "mark":
          marked = usage();
          return;
        case "end":
          ended = marked ?? usage();
          result = message.result;
          // The client deletes what it stored once it is told to go on.
          redisBytes().then((bytes) => {
            after = bytes;
            child.send("go on");
          }, reject);
          return;
        case "failed":
          reject(new Error(message.message));
          return;
        case "done":
          return;
      }
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (code === 0) done();
      else reject(new Error(`the client of ${system} ended with ${signal ?? code}`));
    });
    child.send({ system, topic, addresses, load });
  }).finally(() => {
    clearTimeout(timer);
    child.kill();
  });
  if (result === undefined) throw new Error(`the client of ${system} ended without a result`);
  const costs = watched.map(({ name }, index): [string, ProcessCost] => [
    name,
    {
      cpuUs: (ended[index]?.cpuUs ?? 0) - (begun[index]?.cpuUs ?? 0),
      rssBytes: ended[index]?.rssBytes ?? 0,
      peakRssBytes: ended[index]?.peakRssBytes ?? 0,
    },
  ]);
  return {
    ...result,
    processes: Object.fromEntries(costs),
    redisBytesPerRecord:
      before === undefined || after === undefined || result.storedRecords === 0
        ? undefined
        : (after - before) / result.storedRecords,
  };
}
