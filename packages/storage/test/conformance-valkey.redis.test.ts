/** The engine over Valkey: one server, and a cluster of three masters. The same suite as over Redis; `make test` fetches the server (scripts/ensure-valkey). */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ConformanceTarget, defineConformance } from "../src/conformance.js";
import { createRedisEngine } from "../src/redis.js";
import { type OwnCluster, startOwnCluster } from "./redis-cluster.js";
import { dropKeys, type OwnRedis, startOwnRedis } from "./redis-server.js";

const fetched = fileURLToPath(new URL("../../../.tools/valkey/valkey-server", import.meta.url));
const binary = process.env["GMQ_TEST_VALKEY_SERVER"] || (existsSync(fetched) ? fetched : "");

describe.skipIf(binary === "")("on Valkey (skipped without a valkey-server: see scripts/ensure-valkey)", () => {
  let single: OwnRedis | undefined;
  let cluster: OwnCluster | undefined;
  beforeAll(async () => {
    single = await startOwnRedis([], undefined, binary);
    cluster = await startOwnCluster(3, 0, undefined, binary);
  }, 120_000);
  afterAll(async () => {
    await single?.stop();
    await cluster?.stop();
  });

  function started<Server>(server: Server | undefined): Server {
    if (server === undefined) throw new Error("it was not started");
    return server;
  }

  const targets: ConformanceTarget[] = [
    {
      name: "valkey",
      async makeStore() {
        const { url } = started(single);
        const prefix = `v-${randomUUID().slice(0, 8)}`;
        return {
          open: () => createRedisEngine({ url, prefix }),
          keepsRecords: true,
          dispose: () => dropKeys(url, prefix),
        };
      },
    },
    {
      name: "valkey, a cluster of three masters",
      async makeStore() {
        const { nodes, dropKeys: drop } = started(cluster);
        const prefix = `v-${randomUUID().slice(0, 8)}`;
        return {
          open: () => createRedisEngine({ cluster: nodes.slice(0, 2), prefix }),
          keepsRecords: true,
          dispose: () => drop(prefix),
        };
      },
    },
  ];
  for (const target of targets) defineConformance(target, { describe, it, beforeAll, afterAll });

  it("is known by its own version", async () => {
    const engine = await createRedisEngine({ url: started(single).url });
    try {
      await expect.poll(async () => (await engine.status()).ready).toBe(true);
      const { details } = await engine.status();
      expect(details["valkey_version"]).toMatch(/^\d+\.\d+\.\d+$/);
    } finally {
      await engine.close();
    }
  });
});
