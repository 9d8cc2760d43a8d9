/** A Sentinel trio of the test's own over a master and a replica. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RedisNode } from "../src/redis/redis-client.js";
import { askRedis, freePort, type OwnRedis, type RedisSecurity, redisServer, startOwnRedis } from "./redis-server.js";

export interface OwnSentinels {
  readonly masterName: string;
  /** The sentinels. */
  readonly nodes: readonly RedisNode[];
  /** The master of the beginning, and its replica. */
  readonly servers: readonly OwnRedis[];
  stop(): Promise<void>;
}

/** TLS and users of the sentinels themselves, and how they call the servers. */
export interface SentinelSecurity {
  readonly servers: RedisSecurity;
  /** Lines of each sentinel's file; those that speak of the master come last. */
  readonly lines: readonly string[];
  readonly masterLines: readonly string[];
  readonly options: RedisSecurity["options"];
}

const masterName = "gmq-test";

/** Starts them, and waits until the replica is in step and they know each other and it: before that they cannot agree on a fail-over. */
export async function startOwnSentinels(security?: SentinelSecurity): Promise<OwnSentinels> {
  const servers: OwnRedis[] = [];
  const sentinels: { readonly port: number; readonly child: ChildProcess }[] = [];
  const folder = await mkdtemp(join(tmpdir(), "gmq-sentinel-"));

  async function stop(): Promise<void> {
    for (const { child } of sentinels) {
      const exited = once(child, "exit");
      if (child.exitCode !== null) continue;
      child.kill("SIGKILL");
      await exited;
    }
    for (const server of servers) await server.stop();
    await rm(folder, { recursive: true, force: true });
  }

  /** A replica that was never in step would take over with nothing. */
  async function replicaIsInStep(): Promise<boolean> {
    const info = await askRedis(servers[1]?.port ?? 0, "INFO", ["replication"], security?.servers);
    return String(info).includes("master_link_status:up");
  }

  async function knowsAll(port: number): Promise<boolean> {
    const own = security === undefined ? undefined : { args: [], options: security.options };
    try {
      const master = (await askRedis(port, "SENTINEL", ["MASTER", masterName], own)) as string[];
      const field = (name: string): number => Number(master[master.indexOf(name) + 1]);
      return field("num-slaves") === 1 && field("num-other-sentinels") === 2;
    } catch {
      return false; // not up yet
    }
  }

  try {
    const master = await startOwnRedis(["--repl-diskless-sync-delay", "0"], security?.servers);
    servers.push(master, await startOwnRedis(["--replicaof", "127.0.0.1", String(master.port)], security?.servers));
    for (let index = 0; index < 3; index++) {
      const port = await freePort();
      const file = join(folder, `sentinel-${index}.conf`);
      const lines = [
        ...(security === undefined ? [`port ${port}`] : ["port 0", `tls-port ${port}`]),
        "bind 127.0.0.1",
        `dir ${folder}`,
        ...(security?.lines ?? []),
        `sentinel monitor ${masterName} 127.0.0.1 ${master.port} 2`,
        `sentinel down-after-milliseconds ${masterName} 1000`,
        `sentinel failover-timeout ${masterName} 5000`,
        ...(security?.masterLines.map((line) => line.replace("MASTER", masterName)) ?? []),
      ];
      await writeFile(file, `${lines.join("\n")}\n`);
      const child = spawn(redisServer(), [file, "--sentinel"], { stdio: "ignore" });
      sentinels.push({ port, child });
    }
    const untilMs = performance.now() + 60_000;
    while (
      !(await replicaIsInStep()) ||
      !(await Promise.all(sentinels.map(({ port }) => knowsAll(port)))).every(Boolean)
    ) {
      if (performance.now() > untilMs)
        throw new Error("the sentinels do not know each other, or the replica is not in step, after 60 s");
      await sleep(200);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const host = security === undefined ? "127.0.0.1" : "localhost";
  return { masterName, nodes: sentinels.map(({ port }) => ({ host, port })), servers, stop };
}
