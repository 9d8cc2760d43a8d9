/** The engine over a real Redis Cluster of three masters: the same suite as over one Redis. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type ConformanceTarget, defineConformance } from "../src/conformance.js";
import { createRedisEngine } from "../src/redis.js";
import { type OwnCluster, startOwnCluster } from "./redis-cluster.js";

let started: OwnCluster | undefined;
beforeAll(async () => {
  started = await startOwnCluster();
}, 120_000);
afterAll(async () => {
  await started?.stop();
});

const cluster: ConformanceTarget = {
  name: "redis, a cluster of three masters",
  async makeStore() {
    const own = started;
    if (own === undefined) throw new Error("the cluster was not started");
    const prefix = `c-${randomUUID().slice(0, 8)}`;
    return {
      open: () => createRedisEngine({ cluster: own.nodes.slice(0, 2), prefix }),
      keepsRecords: true,
      dispose: () => own.dropKeys(prefix),
    };
  },
};
defineConformance(cluster, { describe, it, beforeAll, afterAll });
