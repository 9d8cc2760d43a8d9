/** The engine over a Redis Cluster and through Sentinels that speak TLS only and know it by an ACL user: the same suite as over one Redis in the clear. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { batchOf } from "../src/conformance/batches.js";
import { defineConformance } from "../src/conformance.js";
import type { Engine } from "../src/engine.js";
import { createRedisEngine } from "../src/redis.js";
import { type OwnCluster, startOwnCluster } from "./redis-cluster.js";
import { allowPrefix, type SecuredRedis, secureRedis } from "./redis-security.js";
import { type OwnSentinels, startOwnSentinels } from "./redis-sentinels.js";
import { askRedis, type OwnRedis } from "./redis-server.js";

let secured: SecuredRedis;
let named: SecuredRedis;
let cluster: OwnCluster;
let byName: OwnCluster;
let trio: OwnSentinels;
beforeAll(async () => {
  secured = await secureRedis();
  cluster = await startOwnCluster(3, 0, secured.servers);
  trio = await startOwnSentinels(secured.sentinels);
  // Certificates for a name, no address: the usual case outside of tests.
  named = await secureRedis(["localhost"]);
  const announce = ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"];
  byName = await startOwnCluster(3, 0, { ...named.servers, args: [...named.servers.args, ...announce] });
}, 240_000);
afterAll(async () => {
  await byName?.stop();
  await trio?.stop();
  await cluster?.stop();
  await named?.stop();
  await secured?.stop();
});

async function newPrefix(
  own: { readonly masters?: readonly OwnRedis[]; readonly servers?: readonly OwnRedis[] },
  by = secured,
) {
  const prefix = `c-${randomUUID().slice(0, 8)}`;
  await allowPrefix(own.masters ?? own.servers ?? [], prefix, by.servers);
  return prefix;
}
const throughSentinels = (prefix: string, more = {}): Promise<Engine> =>
  createRedisEngine({
    redis: {
      sentinels: [...trio.nodes],
      name: trio.masterName,
      ...secured.engine,
      ...secured.sentinelEngine,
      sentinelTLS: secured.engine.tls ?? {},
      enableTLSForSentinelMode: true,
      ...more,
    },
    prefix,
  });

defineConformance(
  {
    name: "redis, a cluster over TLS with an ACL user",
    async makeStore() {
      const prefix = await newPrefix(cluster);
      return {
        open: () => createRedisEngine({ cluster: cluster.nodes.slice(0, 2), redis: secured.engine, prefix }),
        keepsRecords: true,
        dispose: () => cluster.dropKeys(prefix),
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);

defineConformance(
  {
    name: "redis, found by sentinels over TLS with ACL users",
    async makeStore() {
      const prefix = await newPrefix(trio);
      return { open: () => throughSentinels(prefix), keepsRecords: true, dispose: async () => undefined };
    },
  },
  { describe, it, beforeAll, afterAll },
);

describe("a cluster whose certificates are for names", () => {
  it("is called by its names, and serves", async () => {
    const prefix = await newPrefix(byName, named);
    const engine = await createRedisEngine({ cluster: byName.nodes, redis: named.engine, prefix });
    try {
      await expect.poll(async () => (await engine.status()).reason).toBe("");
      await engine.topics.create("t", { partitions: 12 });
      for (let partition = 0; partition < 12; partition++) {
        const [[outcome] = []] = await engine.log.append([{ topic: "t", partition, batches: [batchOf(["v"])] }]);
        expect(outcome).toMatchObject({ ok: true, firstOffset: 0n });
      }
    } finally {
      await engine.close();
    }
  });
});

describe("who has not the right password", () => {
  it.each([
    ["of the servers", { password: "wrong" }],
    ["of the sentinels", { sentinelPassword: "wrong" }],
    ["and no user", { username: undefined, password: "gmq-pass" }],
  ])("%s is told so, and never becomes ready", async (_what, more) => {
    const engine = await throughSentinels(await newPrefix(trio), more);
    try {
      await expect
        .poll(async () => (await engine.status()).reason)
        .toMatch(/WRONGPASS|NOAUTH|invalid username|password/i);
      expect((await engine.status()).ready).toBe(false);
    } finally {
      await engine.close();
    }
  });
});

it("a user that may not listen for signals is told so, and the records go on", async () => {
  const prefix = await newPrefix(trio);
  for (const { port } of trio.servers)
    await askRedis(port, "ACL", ["SETUSER", "gmq", "resetchannels", `&${prefix}:*`], secured.servers);
  const engine = await throughSentinels(prefix);
  try {
    await expect.poll(async () => (await engine.status()).reason).toContain(`needs &${prefix}:signal:*`);
    expect((await engine.status()).ready).toBe(true);
    await allowPrefix(trio.servers, prefix, secured.servers);
    await expect.poll(async () => (await engine.status()).reason).toBe("");
  } finally {
    await engine.close();
  }
});
