import { createLogger, silentLogger } from "@gmq/log";
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

it("refuses a Redis URL that cannot be read, and says what was expected", () => {
  const { error } = storageSchema.safeParse({ redisUrl: "redis://me:s3cret@host:notaport" });
  expect(error?.issues).toMatchObject([{ path: ["redisUrl"], message: expect.stringMatching(/^expected redis:/) }]);
});

it("warns of a password that goes to another machine in the clear, and refuses it where that is asked for", async () => {
  const lines: string[] = [];
  const logger = createLogger({ name: "test", level: "warn", destination: { write: (line) => lines.push(line) } });
  const places = [
    { redisUrl: "redis://me:s3cret@198.51.100.7:6379" },
    { redisAddr: "198.51.100.7:6379", redisPass: "s3cret" },
    { redisCluster: ["127.0.0.1:1", "198.51.100.7:6379"], redisPass: "s3cret" },
    { redisSentinels: ["198.51.100.7:6379"], redisSentinelPass: "s3cret" },
  ];
  for (const place of places) {
    await expect(openEngine(settings({ ...place, refuseUnsafe: true }), logger)).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("unsafe: Redis' password goes in the clear to 198.51.100.7:6379: use rediss://"),
    });
    await (await openEngine(settings(place), logger)).close();
    expect(lines.filter((line) => line.includes("UNSAFE")).join("")).toContain("198.51.100.7:6379");
    expect(lines.join("")).not.toContain("s3cret");
    lines.length = 0;
  }
  const safe = [
    { redisUrl: "redis://me:s3cret@127.0.0.1:1" },
    { redisUrl: "rediss://me:s3cret@198.51.100.7:6379" },
    { redisAddr: "198.51.100.7:6379" },
    { redisAddr: "198.51.100.7:6379", redisPass: "s3cret", redisTls: true },
  ];
  for (const place of safe) await (await openEngine(settings({ ...place, refuseUnsafe: true }), silentLogger)).close();
});
