/** Short stories, each with the one fault that brings a kind of bug to light. Without a bug each keeps every promise. */
import { setTimeout as sleep } from "node:timers/promises";
import { redisCommand } from "../world/redis-admin.ts";
import type { Run, RunOptions } from "../world/run.ts";
import type { StoreKind, World } from "../world/world.ts";
import { wakeAsZombie } from "./zombie-owner.ts";

export interface Scenario {
  readonly name: string;
  readonly store: StoreKind;
  readonly options?: Omit<RunOptions, "bug">;
  play(run: Run): Promise<void>;
}

function redisPort({ redis }: World): number {
  if (redis === undefined) throw new Error("this world has no Redis");
  return redis.port;
}

/** The store refuses what is new for a while; consumers go on. */
export const outOfMemory: Scenario = {
  name: "Redis reaches maxmemory",
  store: "redis everysec",
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(500);
    const port = redisPort(run.world);
    await run.fault({ kind: "out of memory", target: "redis" }, async () => {
      await redisCommand(port, "CONFIG", ["SET", "maxmemory", "1mb"]);
      await sleep(1_500);
      await redisCommand(port, "CONFIG", ["SET", "maxmemory", "0"]);
    });
    await sleep(500);
  },
};

/** Appends are stored, their answers are not seen, and the storage process that knows of them dies. */
export const lostAnswersAndKill: Scenario = {
  name: "a storage process dies with answers on their way",
  store: "redis everysec",
  options: { partitions: 8 },
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(500);
    for (const at of [0, 1]) {
      const path = run.world.proxies.storageToRedis[at];
      const storage = run.world.parts[at];
      await run.fault({ kind: "kill storage", target: storage?.name ?? "" }, async () => {
        path?.set({ mode: "hold answers" });
        await sleep(300);
        await storage?.kill();
        path?.set({ mode: "pass" });
        path?.cut();
        await storage?.restart();
      });
      await sleep(1_000);
    }
  },
};

/** A session runs out, another takes over, and the first wakes up and settles. */
export const zombie: Scenario = {
  name: "a replaced owner settles",
  store: "redis everysec",
  async play(run) {
    const producer = await run.produce({ records: 200 });
    await run.waitForKept(200);
    producer.gone = false;
    await run.fault({ kind: "zombie", target: "zombie" }, () => wakeAsZombie(run, () => run.consume()));
  },
};

/** A consumer dies with entries that are partly settled. */
export const partlySettled: Scenario = {
  name: "a consumer dies with partly settled entries",
  store: "redis everysec",
  options: { consumer: { retryPerMille: 60, releasePerMille: 20, workMs: 5 } },
  async play(run) {
    const consumer = await run.consume();
    await run.produce();
    await run.waitForKept(1_500);
    await run.fault({ kind: "kill consumer", target: consumer.name }, async () => {
      consumer.gone = true;
      await consumer.process.kill();
    });
    await run.consume();
    await sleep(500);
  },
};

/** Nothing is broken: members come and go. */
export const comingAndGoing: Scenario = {
  name: "members come and go",
  store: "redis everysec",
  options: { partitions: 8, consumer: { workMs: 2 } },
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(300);
    for (let turn = 0; turn < 3; turn++) {
      const guest = await run.consume();
      await sleep(600);
      guest.gone = true;
      guest.tell("end");
      await guest.process.exited;
    }
  },
};

/** The same in a shared group over two brokers: whoever comes gets what is new, and nothing that others are at work on. */
export const comingAndGoingShared: Scenario = {
  name: "members of a shared group come and go",
  store: "redis everysec",
  options: { partitions: 2, mode: "shared", consumer: { workMs: 20 } },
  play: comingAndGoing.play,
};

/** A consumer dies in its handlers. */
export const diesInHandler: Scenario = {
  name: "a consumer dies in its handlers",
  store: "redis everysec",
  options: { consumer: { settle: "implicit" } },
  async play(run) {
    const consumer = await run.consume({ workMs: 200 });
    await run.produce({ ratePerSecond: 200 });
    await run.waitForKept(300);
    await run.fault({ kind: "kill consumer", target: consumer.name }, async () => {
      consumer.gone = true;
      await consumer.process.kill();
    });
    await run.consume();
  },
};

/** Redis forgets its scripts. */
export const scriptFlush: Scenario = {
  name: "Redis forgets its scripts",
  store: "redis everysec",
  options: { drainTimeoutMs: 15_000 },
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(300);
    for (let turn = 0; turn < 8; turn++) {
      await run.fault({ kind: "script flush", target: "redis" }, async () => {
        await redisCommand(redisPort(run.world), "SCRIPT", ["FLUSH"]);
      });
      await sleep(200);
    }
  },
};

/** Signals are lost without a trace, between two storage processes: one takes the records, another one is asked for them. */
export const deafToSignals: Scenario = {
  name: "signals are lost",
  store: "redis everysec",
  options: { drainTimeoutMs: 45_000 },
  async play(run) {
    // Each broker keeps to a storage process of its own; what a process appends itself it knows without signals.
    const [reading = "", writing = ""] = run.world.brokers;
    const [, readingToSecond, writingToFirst] = run.world.proxies.brokerToStorage;
    for (const path of [readingToSecond, writingToFirst]) path?.shut();
    await run.consume({ brokers: [reading] });
    const producer = await run.produce({ brokers: [writing], ratePerSecond: 100 });
    await run.waitForKept(200);
    await run.fault({ kind: "signals lost", target: "redis" }, async () => {
      for (const path of run.world.proxies.storageToRedis) path.set({ mode: "deaf" });
      await sleep(1_000);
      producer.gone = true;
      producer.tell("end");
      await producer.process.exited;
    });
  },
};

/** Clients lose their connection when their records are stored and the answers are on their way. */
export const lostAnswersToClients: Scenario = {
  name: "clients lose answers",
  store: "redis everysec",
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(300);
    for (let turn = 0; turn < 4; turn++) {
      await run.fault({ kind: "cut", target: "clients to brokers" }, async () => {
        for (const path of run.world.proxies.clientToBroker) path.set({ mode: "hold answers" });
        await sleep(200);
        for (const path of run.world.proxies.clientToBroker) {
          path.cut();
          path.set({ mode: "pass" });
        }
      });
      await sleep(400);
    }
  },
};

/** Nothing happens at all. */
export const steady: Scenario = {
  name: "nothing happens",
  store: "redis everysec",
  options: { drainTimeoutMs: 10_000 },
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(500);
  },
};

/** Some records fail before they succeed. */
export const poison: Scenario = {
  name: "records fail",
  store: "embedded",
  options: { consumer: { failPerMille: 30 } },
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(800);
  },
};

/** Records are rejected, their copies stored, and the storage process that does it dies before it knows. */
export const rejectedAndKilled: Scenario = {
  name: "a storage process dies with dead letters on their way",
  store: "redis everysec",
  options: { partitions: 8, consumer: { rejectPerMille: 300 } },
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(500);
    for (const [at, slowMs] of [
      [0, 700],
      [1, 800],
      [0, 750],
      [1, 900],
    ] as const) {
      const path = run.world.proxies.storageToRedis[at];
      const storage = run.world.parts[at];
      await run.fault({ kind: "kill storage", target: storage?.name ?? "" }, async () => {
        // Slow, so that at any time some copies are on their way; then they are stored and nobody hears of it.
        path?.set({ mode: "slow", delayMs: 100 });
        await sleep(slowMs);
        path?.set({ mode: "hold answers" });
        await sleep(200);
        await storage?.kill();
        path?.set({ mode: "pass" });
        path?.cut();
        await storage?.restart();
      });
      await sleep(1_000);
    }
  },
};

/** Some records are for later. */
export const forLater: Scenario = {
  name: "records are delayed",
  store: "redis everysec",
  options: { producer: { delayPerMille: 100 } },
  async play(run) {
    await run.consume();
    await run.produce();
    await run.waitForKept(1_000);
  },
};

/** Some records live shorter than it takes until somebody comes. */
export const shortLives: Scenario = {
  name: "records expire",
  store: "embedded",
  options: { producer: { ttlPerMille: 200, ttlMs: 200 } },
  async play(run) {
    await run.produce();
    await run.waitForKept(500);
    await sleep(2_000);
    await run.consume();
    await run.waitForKept(1_500);
  },
};

/** Records are purged before anybody had them. */
export const purged: Scenario = {
  name: "records are purged",
  store: "redis everysec",
  options: { consumer: { workMs: 10, concurrency: 4, maxInFlight: 40 } },
  async play(run) {
    await run.produce({ records: 1_500 });
    await run.waitForKept(1_000);
    await run.consume();
    for (let partition = 0; partition < run.partitions; partition++) await run.purge(partition);
    await run.waitForKept(1_500);
  },
};
