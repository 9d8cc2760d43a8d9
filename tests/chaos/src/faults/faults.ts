/** Everything that a chaos run does to a world, by name. Each fault is over, and healed, when it resolves. */
import { setTimeout as sleep } from "node:timers/promises";
import { waitUntil } from "@gmq/e2e/harness/wait-until";
import type { Actor } from "../world/actors.ts";
import { redisCommand } from "../world/redis-admin.ts";
import type { Run } from "../world/run.ts";
import type { Chance } from "./random.ts";
import type { TcpProxy } from "./tcp-proxy.ts";

/** A fault that a run can be given. */
export interface FaultKind {
  readonly name: string;
  /** Whether this run has what it hits. */
  fits(run: Run): boolean;
  strike(run: Run, chance: Chance): Promise<void>;
}

/** Session timeout of the consumers of a chaos run. */
export const sessionTimeoutMs = 3_000;

function living(run: Run, kind: Actor["kind"]): Actor[] {
  return run.actors.filter((actor) => actor.kind === kind && !actor.gone);
}

function isSeparate({ world }: Run): boolean {
  return world.redis !== undefined;
}

/** A service drains within 30 s by default. */
const drainTimeoutMs = 40_000;

const always = (): boolean => true;

/** Kills an actor and starts another in its place. */
async function replace(run: Run, actor: Actor): Promise<void> {
  actor.gone = true;
  await run.fault({ kind: `kill ${actor.kind}`, target: actor.name }, async () => {
    await actor.process.kill();
  });
  if (actor.kind === "producer") await run.produce();
  else await run.consume();
}

/** SIGSTOP, and SIGCONT after a while. */
async function freeze(run: Run, name: string, kind: string, pid: number, forMs: number): Promise<void> {
  await run.fault({ kind: `stop ${kind}`, target: name }, async () => {
    process.kill(pid, "SIGSTOP");
    await sleep(forMs);
    process.kill(pid, "SIGCONT");
  });
}

const ofActors: readonly FaultKind[] = [
  {
    name: "kill consumer",
    fits: always,
    strike: (run, chance) => replace(run, chance.pick(living(run, "consumer"))),
  },
  {
    name: "kill producer",
    fits: always,
    strike: (run, chance) => replace(run, chance.pick(living(run, "producer"))),
  },
  {
    name: "stop consumer",
    fits: always,
    strike(run, chance) {
      const { name, process: child } = chance.pick(living(run, "consumer"));
      return freeze(
        run,
        name,
        "consumer",
        child.pid,
        chance.pick([sessionTimeoutMs + chance.integer(500, 2_000), 4 * sessionTimeoutMs + 1_000]),
      );
    },
  },
  {
    name: "stop producer",
    fits: always,
    strike(run, chance) {
      const { name, process: child } = chance.pick(living(run, "producer"));
      return freeze(run, name, "producer", child.pid, chance.integer(500, 6_000));
    },
  },
  {
    name: "clock jump",
    fits: always,
    async strike(run, chance) {
      const { name, tell } = chance.pick(living(run, "consumer"));
      const byMs = chance.pick([-7_200_000, -5_000, 5_000, 3_600_000]);
      await run.fault({ kind: "clock jump", target: name }, () => tell(`jump ${byMs}`));
    },
  },
  {
    name: "blocked event loop",
    fits: always,
    async strike(run, chance) {
      const { name, tell } = chance.pick(living(run, "consumer"));
      const forMs = sessionTimeoutMs + chance.integer(500, 2_500);
      await run.fault({ kind: "blocked event loop", target: name }, async () => {
        tell(`block ${forMs}`);
        await sleep(forMs);
      });
    },
  },
  {
    name: "rebalance storm",
    fits: always,
    // A storm of joins and leaves is nothing broken: it excuses nothing.
    strike: (run, chance) => run.storm(chance.integer(10, 50)),
  },
  {
    name: "purge",
    fits: always,
    // Nothing is broken by it, and it excuses nothing but what it took.
    strike: (run, chance) => run.purge(chance.integer(0, run.partitions - 1)),
  },
];

const ofProcesses: readonly FaultKind[] = [
  {
    name: "kill service",
    fits: always,
    async strike(run, chance) {
      const part = chance.pick(run.world.parts);
      await run.fault({ kind: `kill ${part.name.split(" ")[0]}`, target: part.name }, async () => {
        await part.kill();
        await sleep(chance.integer(0, 1_500));
        await part.restart();
      });
    },
  },
  {
    name: "stop service",
    fits: always,
    async strike(run, chance) {
      const part = chance.pick(run.world.parts);
      await freeze(run, part.name, part.name.split(" ")[0] ?? "", part.process.pid, chance.integer(500, 8_000));
    },
  },
  {
    name: "restart service",
    fits: always,
    async strike(run, chance) {
      for (const part of chance.shuffled(run.world.parts)) {
        await run.fault({ kind: "rolling restart", target: part.name }, async () => {
          // A broker lets its clients finish first, also those that have gone silent.
          await part.process.stop("SIGTERM", drainTimeoutMs);
          await part.restart();
        });
      }
    },
  },
];

/** The paths of a run; clients' in both topologies. */
function paths({ world }: Run): TcpProxy[] {
  const { clientToBroker, brokerToStorage, storageToRedis } = world.proxies;
  return [...clientToBroker, ...brokerToStorage, ...storageToRedis];
}

function onPath(kind: string, spoil: (path: TcpProxy, chance: Chance) => Promise<void>): FaultKind {
  return {
    name: kind,
    fits: always,
    async strike(run, chance) {
      const path = chance.pick(paths(run));
      await run.fault({ kind, target: path.name }, () => spoil(path, chance));
    },
  };
}

const ofPaths: readonly FaultKind[] = [
  onPath("cut", async (path, chance) => {
    path.cutAfterAnswerBytes(chance.integer(1, 20_000));
    await sleep(200);
    path.cut();
    path.cutAfterAnswerBytes(Number.POSITIVE_INFINITY);
  }),
  onPath("unreachable", async (path, chance) => {
    path.shut();
    await sleep(chance.integer(200, 5_000));
    path.open();
  }),
  onPath("half-open then late", async (path, chance) => {
    path.set({ mode: "hold" });
    await sleep(chance.integer(500, 6_000));
    path.set({ mode: "pass" });
  }),
  onPath("half-open for ever", async (path) => {
    path.forget();
    await sleep(200);
  }),
  onPath("one way", async (path, chance) => {
    path.set({ mode: chance.pick(["hold answers", "hold requests"]) });
    await sleep(chance.integer(200, 5_000));
    if (chance.next() < 0.5) path.cut();
    path.set({ mode: "pass" });
  }),
  onPath("slow", async (path, chance) => {
    path.set({ mode: "slow", delayMs: chance.integer(20, 300) });
    await sleep(chance.integer(500, 4_000));
    path.set({ mode: "pass" });
  }),
];

function onRedis(
  kind: string,
  strike: (
    run: Run & { readonly world: { readonly redis: NonNullable<Run["world"]["redis"]> } },
    chance: Chance,
  ) => Promise<void>,
  lossMs?: (run: Run) => number | undefined,
): FaultKind {
  return {
    name: kind,
    fits: isSeparate,
    async strike(run, chance) {
      const { redis } = run.world;
      if (redis === undefined) return;
      const loss = lossMs?.(run);
      const fault = { kind, target: "redis", ...(loss === undefined ? {} : { lossMs: loss }) };
      await run.fault(fault, () => strike({ ...run, world: { ...run.world, redis } }, chance));
    },
  };
}

/** What docs/guarantees.md says that everysec may lose. */
const everysecLossMs = 2_500;

const ofRedis: readonly FaultKind[] = [
  onRedis(
    "kill redis",
    async ({ world }, chance) => {
      await world.redis.kill();
      await sleep(chance.integer(0, 2_000));
      await world.redis.restart();
    },
    ({ world }) => (world.store === "redis always" ? undefined : everysecLossMs),
  ),
  onRedis("stop redis", async ({ world }, chance) => {
    process.kill(world.redis.process.pid, "SIGSTOP");
    await sleep(chance.integer(200, 5_000));
    process.kill(world.redis.process.pid, "SIGCONT");
  }),
  onRedis("client kill", async ({ world }, chance) => {
    await redisCommand(world.redis.port, "CLIENT", ["KILL", "TYPE", chance.pick(["normal", "pubsub"])]);
  }),
  onRedis("busy redis", async ({ world }, chance) => {
    await redisCommand(world.redis.port, "DEBUG", ["SLEEP", chance.integer(1, 30) / 10]);
  }),
  onRedis("script flush", async ({ world }) => {
    await redisCommand(world.redis.port, "SCRIPT", ["FLUSH"]);
  }),
  onRedis("out of memory", async ({ world }, chance) => {
    await redisCommand(world.redis.port, "CONFIG", ["SET", "maxmemory", "1mb"]);
    await sleep(chance.integer(500, 3_000));
    await redisCommand(world.redis.port, "CONFIG", ["SET", "maxmemory", "0"]);
  }),
  onRedis("read-only redis", async ({ world }, chance) => {
    // A replica of nothing: it refuses writes and keeps what it has, because there is nobody to copy.
    await redisCommand(world.redis.port, "REPLICAOF", ["127.0.0.1", 1]);
    await sleep(chance.integer(300, 3_000));
    await redisCommand(world.redis.port, "REPLICAOF", ["NO", "ONE"]);
  }),
  onRedis("signals lost", async ({ world }, chance) => {
    for (const path of world.proxies.storageToRedis) path.set({ mode: "deaf" });
    await sleep(chance.integer(500, 3_000));
    for (const path of world.proxies.storageToRedis) path.set({ mode: "pass" });
  }),
];

/** Fail-over to a replica that may be behind: what it had not heard is lost. */
const failOver: FaultKind = {
  name: "fail-over",
  fits: ({ world }) => world.replica !== undefined,
  async strike(run, chance) {
    const { redis, replica, proxies } = run.world;
    if (redis === undefined || replica === undefined) return;
    await redisCommand(replica.port, "REPLICAOF", ["127.0.0.1", redis.port]);
    await waitUntil("the replica to be up to date", async () =>
      String(await redisCommand(replica.port, "INFO", ["replication"])).includes("master_link_status:up"),
    );
    await sleep(chance.integer(500, 2_000));
    // A replica that has just copied everything may be seconds behind a busy master: the window below is for one that follows.
    await waitUntil("the replica to have caught up", async () => {
      const said = await replicationOffset(redis.port, "master_repl_offset");
      return (await replicationOffset(replica.port, "slave_repl_offset")) >= said;
    });
    // What is lost is what the replica had not heard when it was cut off, and everything until the clients go over.
    await run.fault({ kind: "fail-over", target: "redis", lossMs: 1_000 }, async () => {
      await redisCommand(replica.port, "REPLICAOF", ["NO", "ONE"]);
      await sleep(chance.integer(0, 300));
      for (const path of proxies.storageToRedis) {
        path.redirect(replica.port);
        path.cut();
      }
      await sleep(200);
    });
  },
};

async function replicationOffset(port: number, field: "master_repl_offset" | "slave_repl_offset"): Promise<number> {
  const info = String(await redisCommand(port, "INFO", ["replication"]));
  return Number(new RegExp(`${field}:(\\d+)`).exec(info)?.[1] ?? Number.NaN);
}

/** All of them. */
export const faultKinds: readonly FaultKind[] = [...ofActors, ...ofProcesses, ...ofPaths, ...ofRedis, failOver];
