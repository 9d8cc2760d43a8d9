import type { Status } from "@gmq/client";
import { expect, it } from "vitest";
import { examine, type Level } from "./checks.js";

const healthyRedis = {
  store: "redis",
  version: "7.0.15",
  role: "master",
  cluster_enabled: "0",
  maxmemory_policy: "noeviction",
  evicted_keys: "0",
  used_memory_bytes: String(100 << 20),
  maxmemory_bytes: String(1 << 30),
  aof_enabled: "1",
  appendfsync: "always",
  aof_last_write: "ok",
  last_save: "ok",
  latency_ms: "0.31",
  clock_ahead_ms: "-3",
};

function levels(details: Record<string, string>, status: Partial<Status> = {}, latencyMs = 1): Record<string, Level> {
  const whole = {
    brokerId: "b",
    version: "1",
    sessions: 0,
    uptimeMs: 1,
    engine: "remote",
    ready: true,
    reason: "",
    durability: "disk",
    details,
    ...status,
  };
  return Object.fromEntries(
    examine({ url: "http://b", status: whole, latencyMs }).map(({ check, level, advice }) => {
      if (level !== "ok") expect(advice, check).not.toBe("");
      return [check, level];
    }),
  );
}

it("finds nothing wrong with a Redis as it should be", () => {
  const found = levels(healthyRedis);
  expect(Object.keys(found).length).toBeGreaterThan(11);
  expect(new Set(Object.values(found))).toEqual(new Set(["ok"]));
});

it.each<[string, Record<string, string>, string, Level]>([
  ["an old version", { version: "6.0.20" }, "version", "fail"],
  ["a version that is not tested", { version: "6.2.14" }, "version", "warn"],
  ["no version", { version: "" }, "version", "fail"],
  ["a replica", { role: "slave" }, "Redis role", "fail"],
  ["one node of a cluster", { cluster_enabled: "1" }, "cluster mode", "fail"],
  ["eviction", { maxmemory_policy: "allkeys-lru" }, "maxmemory-policy", "fail"],
  ["evicted keys", { evicted_keys: "7" }, "evicted keys", "fail"],
  ["no bound of memory", { maxmemory_bytes: "0" }, "memory", "warn"],
  ["little memory left", { used_memory_bytes: String(950 << 20) }, "memory", "warn"],
  ["no append-only file", { aof_enabled: "0" }, "append-only file", "warn"],
  ["a failed write of it", { aof_last_write: "err" }, "last write of it", "fail"],
  ["a failed snapshot", { last_save: "err" }, "last snapshot", "fail"],
  ["a slow Redis", { latency_ms: "12.5" }, "Redis latency", "warn"],
  ["a very slow Redis", { latency_ms: "120" }, "Redis latency", "fail"],
  ["a clock behind", { clock_ahead_ms: "-4000" }, "clock", "warn"],
])("tells %s", (_name, change, check, level) => {
  expect(levels({ ...healthyRedis, ...change })[check]).toBe(level);
});

it("knows Valkey and Dragonfly by their own names and versions", () => {
  expect(levels({ ...healthyRedis, version: "7.2.4", valkey_version: "8.1.0" })["version"]).toBe("ok");
  expect(levels({ ...healthyRedis, version: "6.0.0", dragonfly_version: "1.30" })["version"]).toBe("ok");
  const details = { ...healthyRedis, valkey_version: "8.1.0", maxmemory_policy: "allkeys-lru", latency_ms: "60" };
  const status = { brokerId: "b", version: "1", sessions: 0, uptimeMs: 1, engine: "redis", ready: true, reason: "" };
  const findings = examine({ url: "http://b", status: { ...status, durability: "disk", details }, latencyMs: 1 });
  expect(findings.find(({ check }) => check === "version")?.found).toBe("Valkey 8.1.0");
  expect(findings.map(({ found, advice }) => `${found} ${advice}`).filter((text) => text.includes("Redis"))).toEqual(
    [],
  );
});

it("says nothing of the version of a Redis that does not answer", () => {
  expect(
    levels({ store: "redis" }, { ready: false, reason: "no connection", durability: "unknown" }),
  ).not.toHaveProperty("version");
});

it("takes a cluster that is known as one", () => {
  expect(levels({ ...healthyRedis, cluster_enabled: "1", cluster_masters: "3" })["cluster mode"]).toBe("ok");
});

it("looks at the disk of the embedded engine, and not at Redis there", () => {
  const roomy = { disk_free_bytes: String(50 * 2 ** 30), disk_total_bytes: String(100 * 2 ** 30) };
  expect(levels(roomy, { engine: "embedded" })).toEqual({
    "broker latency": "ok",
    store: "ok",
    durability: "ok",
    disk: "ok",
  });
  const full = { ...roomy, disk_free_bytes: String(100 * 2 ** 20) };
  expect(levels(full, { engine: "embedded" })["disk"]).toBe("warn");
  expect(levels({ disk_problem: "EACCES" }, { engine: "embedded" })["disk"]).toBe("warn");
});

it("tells what a store cannot do", () => {
  expect(levels({}, { durability: "unknown" })["durability"]).toBe("warn");
  expect(levels({}, { reason: "read-only: store full" })["store room"]).toBe("fail");
  expect(levels({}, { durability: "memory" })["durability"]).toBe("warn");
  expect(levels({}, { durability: "about 1 s" })["durability"]).toBe("ok");
  expect(levels({}, {}, 80)["broker latency"]).toBe("warn");
});

it("says of a store that does not answer nothing but that", () => {
  const away = { ready: false, reason: "Redis does not answer", durability: "unknown" };
  expect(levels({ store: "redis" }, away)).toEqual({ "broker latency": "ok", store: "fail" });
  // One that answers and is not the right one is looked at.
  expect(levels({ ...healthyRedis, role: "slave" }, { ...away, reason: "a replica" })["Redis role"]).toBe("fail");
});
