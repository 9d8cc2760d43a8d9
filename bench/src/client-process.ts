/** A client of the bench, in a process of its own: runs one round of one system and tells its parent when the measured time begins and ends. */
import { once } from "node:events";
import type { Driver, OpenDriver } from "./client/driver.ts";
import { type Begin, runLoad } from "./client/loops.ts";
import { runNeverRead, runNeverStop } from "./client/memory.ts";
import { runSessions } from "./client/sessions.ts";
import type { ClientMessage, SystemName, Task, TaskResult } from "./client/task.ts";

/** Loaded when they are used: a round pays for its own system only. */
const drivers: Readonly<Record<SystemName, () => Promise<OpenDriver>>> = {
  gmq: async () => (await import("./client/drivers/gmq.ts")).openGmq,
  "engine-redis": async () => (await import("./client/drivers/engine.ts")).openRedisEngine,
  "engine-file": async () => (await import("./client/drivers/engine.ts")).openFileEngine,
  "floor-resp": async () => (await import("./client/drivers/resp-floor.ts")).openRespFloor,
  "floor-http2": async () => (await import("./client/drivers/http2-floor.ts")).openHttp2Floor,
  "floor-chain": async () => (await import("./client/drivers/http2-floor.ts")).openHttp2Floor,
  "floor-fsync": async () => (await import("./client/drivers/fsync-floor.ts")).openFsyncFloor,
  ioredis: async () => (await import("./client/drivers/ioredis-streams.ts")).openIoredisStreams,
  bullmq: async () => (await import("./client/drivers/bullmq.ts")).openBullmq,
  nats: async () => (await import("./client/drivers/nats.ts")).openNats,
  rabbitmq: async () => (await import("./client/drivers/rabbitmq.ts")).openRabbitmq,
};

function tell(message: ClientMessage): void {
  process.send?.(message);
}

async function run(task: Task): Promise<void> {
  if (task.load.kind === "sessions") {
    const { result, close } = await runSessions(task, tell);
    await end(result);
    await close();
    return;
  }
  const driver: Driver = await (await drivers[task.system]())(task);
  const result = await loadOf(task)(driver, () => tell({ type: "begin" }));
  await end(result);
  await driver.close();
}

function loadOf(task: Task): (driver: Driver, begin: Begin) => Promise<TaskResult> {
  switch (task.load.kind) {
    case "neverRead":
      return (driver, begin) => runNeverRead(driver, task, begin);
    case "neverStop":
      return (driver, begin) => runNeverStop(driver, task, begin);
    default:
      return (driver, begin) => runLoad(driver, task.load, begin);
  }
}

/** Says what was measured, and leaves everything as it is until the parent has looked at it. */
async function end(result: TaskResult): Promise<void> {
  tell({ type: "end", result });
  await once(process, "message");
}

process.once("message", (task: Task) => {
  run(task).then(
    () => {
      tell({ type: "done" });
      process.disconnect();
    },
    (error: unknown) => {
      tell({ type: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      process.disconnect();
      process.exitCode = 1;
    },
  );
});
// Also without an answer from anybody: a round whose connections hang must not outlive its parent.
process.once("disconnect", () => setTimeout(() => process.exit(), 2_000).unref());
