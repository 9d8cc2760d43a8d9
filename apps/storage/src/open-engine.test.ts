import { silentLogger } from "@gmq/log";
import { expect, it } from "vitest";
import { storageSchema } from "./config.js";
import { openEngine } from "./open-engine.js";

const settings = (values: Record<string, unknown>) => storageSchema.parse(values);

it("refuses settings that name two stores, and says which", async () => {
  const two = settings({ redisUrl: "redis://h", redisCluster: ["n1:6379"] });
  await expect(openEngine(two, silentLogger)).rejects.toMatchObject({
    code: "invalid_argument",
    field: "redisCluster",
    message: expect.stringContaining("redisUrl"),
  });
});

it("refuses nodes that are no addresses, and an empty list", () => {
  for (const redisCluster of [["n1"], ["n1:6379", "redis://n2:6379/0"], []])
    expect(storageSchema.safeParse({ redisCluster }).success).toBe(false);
  expect(settings({ redisSentinels: ["s1:26379", "s2:26379"] }).redisMaster).toBe("mymaster");
});

it("opens an engine that waits for a cluster, and for sentinels, which are not there yet", async () => {
  for (const place of [{ redisCluster: ["127.0.0.1:1"] }, { redisSentinels: ["127.0.0.1:1"] }]) {
    const engine = await openEngine(settings(place), silentLogger);
    expect(await engine.status()).toMatchObject({ engine: "redis", ready: false });
    await engine.close();
  }
});

it("refuses TLS for a Redis whose URL says that it is in the clear", async () => {
  const clear = settings({ redisUrl: "redis://h", redisTls: true });
  await expect(openEngine(clear, silentLogger)).rejects.toMatchObject({
    code: "invalid_argument",
    field: "--redis-url",
  });
});
