/** What `gmq doctor` thinks of a broker and its store: facts in, findings out. Knows nothing of connections. */
import type { Status } from "@gmq/client";
import { crashLosses } from "@gmq/protocol/portable";

/** `fail`: GMQ cannot keep a promise like this. `warn`: it can, and somebody should know. */
export type Level = "ok" | "warn" | "fail";

/** One thing that was looked at. */
export interface Finding {
  readonly check: string;
  readonly level: Level;
  readonly found: string;
  /** What to change; "" when nothing. */
  readonly advice: string;
}

/** What one broker answered. */
export interface BrokerFacts {
  readonly url: string;
  readonly status: Status;
  /** How long an answer took, the best of several. */
  readonly latencyMs: number;
}

/** Older ones are refused by storage itself. */
const redisVersionMin = "6.2";
/** The oldest that GMQ's tests run on. */
const redisVersionTested = "7.0";
const clockAheadMsMax = 1_000;
const brokerLatencyMsMax = 50;
const redisLatencyMsWarn = 5;
const redisLatencyMsMax = 50;
const memoryShareMax = 0.85;
const diskShareMin = 0.1;
const diskFreeBytesMin = 1 << 30;

/** All findings of one broker, in a fixed order; checks that make no sense for its store are left out. */
export function examine(facts: BrokerFacts): Finding[] {
  const { details, engine, ready } = facts.status;
  const store = details["store"] ?? engine;
  // Of a store that does not answer nothing is known, and advice about it would lead away from that.
  const isUnknown = !ready && (details["version"] ?? "") === "";
  return [
    ...examineBroker(facts),
    ...(store === "redis" && !isUnknown ? examineRedis(details) : []),
    ...(store === "embedded" ? examineDisk(details) : []),
  ];
}

function examineBroker({ status, latencyMs }: BrokerFacts): Finding[] {
  return [
    grade("broker latency", latencyMs <= brokerLatencyMsMax, `${latencyMs.toFixed(1)} ms`, {
      level: "warn",
      advice: "run clients nearer to the broker: each send waits for one round trip",
    }),
    grade("store", status.ready, status.ready ? status.reason || "ready" : status.reason, {
      level: "fail",
      advice: "nothing is stored or delivered until the store answers",
    }),
    ...(status.ready && status.reason !== ""
      ? [finding("store room", "fail", status.reason, "producers are refused: lower retention or give it more room")]
      : []),
    ...(status.ready || status.durability !== "unknown" ? [durability(status.durability)] : []),
  ];
}

function durability(kept: string): Finding {
  const losses = crashLosses(kept);
  if (losses === undefined) {
    const advice = "allow CONFIG GET appendfsync and INFO to GMQ's user, so that it can tell what a crash loses";
    return finding("durability", "warn", "not known", advice);
  }
  const told = `a crash of the store loses ${losses}`;
  if (kept === "disk") return finding("durability", "ok", told);
  if (kept === "memory") {
    const advice = "set appendonly yes in Redis or Valkey, or give the embedded engine a folder (--data)";
    return finding("durability", "warn", told, advice);
  }
  return finding("durability", "ok", told, "set appendfsync always in the store where not even that may be lost");
}

type Details = Status["details"];

/** What this server calls itself: it speaks as Redis does and has its settings, whichever of them it is. */
function serverOf(details: Details): { readonly name: string; readonly version: string } {
  const valkey = details["valkey_version"];
  if (valkey !== undefined) return { name: "Valkey", version: valkey };
  const dragonfly = details["dragonfly_version"];
  if (dragonfly !== undefined) return { name: "Dragonfly", version: dragonfly };
  return { name: "Redis", version: details["version"] ?? "" };
}

function examineRedis(details: Details): Finding[] {
  const { name } = serverOf(details);
  return [
    // Nothing is known of a server that does not answer.
    ...known(details, "version", () => serverVersion(details)),
    ...known(details, "role", (role) =>
      grade("Redis role", role === "master", role, { level: "fail", advice: "connect storage to the primary" }),
    ),
    ...known(details, "cluster_enabled", (enabled) => clusterMode(enabled, details["cluster_masters"])),
    ...known(details, "maxmemory_policy", (policy) =>
      grade("maxmemory-policy", policy === "noeviction", policy, {
        level: "fail",
        advice: `set maxmemory-policy noeviction: any other lets ${name} delete records and groups`,
      }),
    ),
    ...known(details, "evicted_keys", (evicted) =>
      grade("evicted keys", evicted === "0", evicted, {
        level: "fail",
        advice: `${name} has deleted keys to make room, and records may be among them; nothing brings them back`,
      }),
    ),
    ...memory(details, name),
    ...persistence(details, name),
    ...known(details, "latency_ms", (ms) => latency(ms, name)),
    ...known(details, "clock_ahead_ms", (ahead) =>
      grade("clock", Math.abs(Number(ahead)) <= clockAheadMsMax, `${name} is ${ahead} ms ahead of storage`, {
        level: "warn",
        advice: "synchronise both machines (chrony, ntp): delays and lag in seconds are wrong by that much",
      }),
    ),
  ];
}

function clusterMode(enabled: string, masters: string | undefined): Finding {
  if (enabled === "0") return finding("cluster mode", "ok", "off");
  if (masters !== undefined) return finding("cluster mode", "ok", `on, ${masters} masters`);
  const advice = "name its nodes with --redis-cluster: through one of them storage sees only its slots";
  return finding("cluster mode", "fail", "on, and storage talks to one node", advice);
}

function serverVersion(details: Details): Finding {
  const { name, version } = serverOf(details);
  const found = `${name} ${version || "unknown"}`;
  if (name !== "Redis") return finding("version", "ok", found);
  if (isOlder(version, redisVersionMin)) {
    const advice = `use Redis ${redisVersionTested} or newer, Valkey or Dragonfly`;
    return finding("version", "fail", found, advice);
  }
  return grade("version", !isOlder(version, redisVersionTested), found, {
    level: "warn",
    advice: `use ${redisVersionTested} or newer: older ones have what GMQ needs, and its tests do not run on them`,
  });
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = than.split(".").map(Number);
  return !(major > majorMin || (major === majorMin && minor >= minorMin));
}

function memory(details: Details, name: string): Finding[] {
  const used = Number(details["used_memory_bytes"] ?? Number.NaN);
  const max = Number(details["maxmemory_bytes"] ?? Number.NaN);
  if (Number.isNaN(used) || Number.isNaN(max)) return [];
  if (max === 0) {
    const advice = `set maxmemory below what the machine has: without it the system kills ${name} when memory is out`;
    return [finding("memory", "warn", `${mebibytes(used)} used, no bound`, advice)];
  }
  const share = used / max;
  return [
    grade("memory", share <= memoryShareMax, `${mebibytes(used)} of ${mebibytes(max)} (${Math.round(share * 100)} %)`, {
      level: "warn",
      advice: "at the bound producers are refused: lower retention or raise maxmemory",
    }),
  ];
}

function persistence(details: Details, name: string): Finding[] {
  const advice = `look at the log of ${name} and at the disk: while a write fails it may refuse all writes`;
  return [
    ...known(details, "aof_enabled", (enabled) =>
      grade(
        "append-only file",
        enabled === "1",
        enabled === "1" ? `on, fsync ${details["appendfsync"] ?? "unknown"}` : "off",
        {
          level: "warn",
          advice: "set appendonly yes: snapshots alone lose what came after the last one",
        },
      ),
    ),
    ...(details["aof_enabled"] === "1"
      ? known(details, "aof_last_write", (state) =>
          grade("last write of it", state === "ok", state, { level: "fail", advice }),
        )
      : []),
    ...known(details, "last_save", (state) => grade("last snapshot", state === "ok", state, { level: "fail", advice })),
  ];
}

function latency(text: string, name: string): Finding {
  const ms = Number(text);
  const advice = `look at SLOWLOG, fsync, CPU and the network between storage and ${name}: every append waits for it`;
  return finding(
    "Redis latency",
    ms > redisLatencyMsMax ? "fail" : ms > redisLatencyMsWarn ? "warn" : "ok",
    `${text} ms`,
    ms > redisLatencyMsWarn ? advice : "",
  );
}

function examineDisk(details: Details): Finding[] {
  const problem = details["disk_problem"];
  if (problem !== undefined)
    return [finding("disk", "warn", problem, "the folder of the embedded engine cannot be measured")];
  const free = Number(details["disk_free_bytes"] ?? Number.NaN);
  const total = Number(details["disk_total_bytes"] ?? Number.NaN);
  if (Number.isNaN(free) || Number.isNaN(total)) return [];
  const scarce = free < diskFreeBytesMin && free < total * diskShareMin;
  return [
    grade("disk", !scarce, `${mebibytes(free)} of ${mebibytes(total)} free`, {
      level: "warn",
      advice: "make room, or set --store-bytes-max so that producers are slowed before the disk is full",
    }),
  ];
}

function known(details: Details, name: string, judge: (value: string) => Finding): Finding[] {
  const value = details[name];
  return value === undefined ? [] : [judge(value)];
}

function grade(
  check: string,
  fine: boolean,
  found: string,
  otherwise: { readonly level: Level; readonly advice: string },
): Finding {
  return fine ? finding(check, "ok", found) : finding(check, otherwise.level, found, otherwise.advice);
}

function finding(check: string, level: Level, found: string, advice = ""): Finding {
  return { check, level, found, advice };
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / (1 << 20)).toLocaleString("en")} MiB`;
}
