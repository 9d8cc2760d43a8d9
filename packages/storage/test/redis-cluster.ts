/** A real Redis Cluster of the test's own: masters and replicas on free ports, to be killed and resharded. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RedisNode } from "../src/redis/redis-client.js";
import { askRedis, freePort, type OwnRedis, type RedisSecurity, redisServer, startOwnRedis } from "./redis-server.js";

export interface OwnCluster {
  readonly nodes: readonly RedisNode[];
  readonly masters: readonly OwnRedis[];
  readonly replicas: readonly OwnRedis[];
  /** Sends a command to one node. */
  ask(node: OwnRedis, command: string, ...args: readonly string[]): Promise<unknown>;
  dropKeys(prefix: string): Promise<void>;
  stop(): Promise<void>;
}

const slots = 16_384;

/** Starts as many masters, each with its part of the slots and so many replicas, and waits until all agree. */
export async function startOwnCluster(
  masterCount = 3,
  replicasEach = 0,
  security?: RedisSecurity,
  binary = redisServer(),
): Promise<OwnCluster> {
  const count = masterCount * (1 + replicasEach);
  const servers: OwnRedis[] = [];
  const ask = (node: OwnRedis, command: string, ...args: readonly string[]) =>
    askRedis(node.port, command, args, security);

  async function everywhere(what: string, holds: (node: OwnRedis) => Promise<boolean>): Promise<void> {
    const untilMs = performance.now() + 60_000;
    for (const node of servers) {
      while (!(await holds(node))) {
        if (performance.now() > untilMs) throw new Error(`${what}: not within 60 s on port ${node.port}`);
        await sleep(50);
      }
    }
  }

  async function stop(): Promise<void> {
    await Promise.all(servers.map((server) => server.stop()));
  }

  try {
    for (let index = 0; index < count; index++) {
      const busPort = await freePort();
      const settings = [
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "1500",
        "--cluster-port",
        String(busPort),
      ];
      // What a replica missed must not keep it from taking over: the tests have a loss window to look at.
      servers.push(
        await startOwnRedis(
          [...settings, "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"],
          security,
          binary,
        ),
      );
      (servers[index] as { busPort?: number }).busPort = busPort;
    }
    const masters = servers.slice(0, masterCount);
    const replicas = servers.slice(masterCount);
    const [first] = servers as [OwnRedis];
    for (const [index, master] of masters.entries()) {
      const from = Math.floor((index * slots) / masterCount);
      const to = Math.floor(((index + 1) * slots) / masterCount) - 1;
      await ask(master, "CLUSTER", "ADDSLOTSRANGE", String(from), String(to));
      await ask(master, "CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    }
    for (const server of servers.slice(1)) {
      const { busPort } = first as { busPort?: number };
      await ask(server, "CLUSTER", "MEET", "127.0.0.1", String(first.port), String(busPort));
    }
    await everywhere(
      "nodes that know each other",
      async (node) => (await lines(ask(node, "CLUSTER", "NODES"))).length === count,
    );
    for (const [index, replica] of replicas.entries()) {
      const id = String(await ask(masters[index % masterCount] as OwnRedis, "CLUSTER", "MYID"));
      await ask(replica, "CLUSTER", "REPLICATE", id);
    }
    await everywhere("a cluster that is up", async (node) => {
      const state = String(await ask(node, "CLUSTER", "INFO"));
      const known = await lines(ask(node, "CLUSTER", "NODES"));
      return (
        state.includes("cluster_state:ok") &&
        known.filter((line) => / (myself,)?slave /.test(line)).length === replicas.length
      );
    });
    return {
      nodes: servers.map(({ port }) => ({ host: security === undefined ? "127.0.0.1" : "localhost", port })),
      masters,
      replicas,
      ask,
      async dropKeys(prefix) {
        for (const master of masters) {
          const keys = (await ask(master, "KEYS", `${prefix}:*`)) as string[];
          for (const key of keys) await ask(master, "UNLINK", key);
        }
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function lines(answer: Promise<unknown>): Promise<string[]> {
  return String(await answer)
    .split("\n")
    .filter((line) => line !== "");
}
