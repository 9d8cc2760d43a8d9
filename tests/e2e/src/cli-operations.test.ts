/** `gmq doctor` and `gmq top` as people run them, against a real Redis in good and in bad health, and a real terminal-less shell. */
import { connect, type Gmq } from "@gmq/client";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CommandLine, commandLine, linesOf } from "./harness/command-line.js";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";

interface Finding {
  readonly check: string;
  readonly level: string;
  readonly found: string;
  readonly advice: string;
}

describe("on a Redis of its own", () => {
  let topology: Topology;
  let gmq: CommandLine;
  let client: Gmq;
  let redis: Redis;

  beforeAll(async () => {
    topology = await startServices({ redis: { appendonly: "always", args: ["--maxmemory", "200mb"] } });
    gmq = commandLine(topology.brokers[0] ?? "");
    client = await connect({ brokers: topology.brokers });
    redis = new Redis(topology.redis?.url ?? "");
  }, 60_000);

  afterAll(async () => {
    redis.disconnect();
    await client.close();
    await topology.stop();
  });

  async function examine(): Promise<Map<string, Finding>> {
    const { stdout } = await gmq.run(["doctor", "--json"]);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    return new Map(findings.map((finding) => [finding.check, finding]));
  }

  it("finds a sound Redis sound", async () => {
    const found = await examine();
    for (const check of [
      "version",
      "maxmemory-policy",
      "memory",
      "append-only file",
      "clock",
      "durability",
      "Redis role",
      "cluster mode",
    ])
      expect(found.get(check)?.level, `${check}: ${found.get(check)?.found}`).toBe("ok");
    expect(found.get("Redis latency")?.found).toMatch(/^\d+\.\d\d ms$/);
    const text = await gmq.run(["doctor"]);
    expect(text.stdout).toContain("maxmemory-policy");
    expect(text.stdout).toMatch(/0 failed, \d+ warnings?, \d+ fine/);
    expect(text.code).toBe(0);
  });

  it("says what to change, and exits with 1", async () => {
    await redis.config("SET", "maxmemory-policy", "allkeys-lru");
    try {
      const { code, stdout } = await gmq.run(["doctor"]);
      expect(code).toBe(1);
      expect(stdout).toMatch(/FAIL {2}maxmemory-policy +allkeys-lru\n.*→ set maxmemory-policy noeviction/);
    } finally {
      await redis.config("SET", "maxmemory-policy", "noeviction");
    }
    await redis.config("SET", "maxmemory", "0");
    expect((await gmq.run(["doctor"])).code).toBe(0);
    expect((await gmq.run(["doctor", "--strict"])).code).toBe(1);
    await redis.config("SET", "maxmemory", "200mb");
  });

  it("tells a broker that does not answer, and examines the others all the same", async () => {
    const { code, stdout } = await gmq.run([
      "doctor",
      "--timeout",
      "2000",
      "--broker",
      "http://127.0.0.1:9",
      "--broker",
      topology.brokers[0] ?? "",
    ]);
    expect(code).toBe(1);
    expect(stdout).toContain("FAIL  broker  no broker answers at http://127.0.0.1:9");
    expect(stdout).toContain("maxmemory-policy");
  });

  it("shows rates, lag and sessions", async () => {
    await client.admin.createTopic("watched", { partitions: 2 });
    const producer = client.producer();
    await producer.send("watched", { value: "first" });
    const subscription = client.subscribe("watched", { group: "watchers" }, () => undefined);
    await expect
      .poll(async () => (await client.admin.describeGroup("watchers")).partitions.every(({ lag }) => lag === 0n))
      .toBe(true);
    await subscription.close();
    let sending = true;
    const traffic = (async () => {
      while (sending) await producer.send("watched", { value: "x" });
    })();
    const [look] = await gmq.json(["top", "--once", "--interval", "500"]);
    const { stdout } = await gmq.run(["top", "--once", "--interval", "500"]);
    sending = false;
    await traffic;
    const { topics, groups, status } = look as unknown as {
      status: { sessions: number };
      topics: { topic: string; storedPerSecond: number }[];
      groups: { group: string; members: number; lag: string }[];
    };
    expect(status.sessions).toBe(2);
    expect(topics.find(({ topic }) => topic === "watched")?.storedPerSecond).toBeGreaterThan(0);
    expect(groups).toMatchObject([{ group: "watchers", members: 0 }]);
    expect(Number(groups[0]?.lag)).toBeGreaterThan(0);
    expect(stdout).toMatch(/^\S+Z {2}broker \S+ up \d+ s {2}sessions 2 /);
    expect(stdout).toMatch(/^GROUP +MEMBERS +LAG/m);
    expect(stdout).toMatch(/^watched +2 +\d+/m);
    // Nobody looks at a screen here: no control characters.
    expect(stdout).not.toContain("\u001b");
  });

  it("goes on until it is interrupted", async () => {
    const watching = gmq.start(["top", "--interval", "300", "--json"]);
    await expect.poll(() => linesOf(watching.output()).length).toBeGreaterThan(2);
    await watching.stop();
    expect((await watching.exited).code).toBe(130);
  });
});

it("looks at the disk of the embedded engine", async () => {
  const topology = await startStandalone();
  try {
    const { stdout } = await commandLine(topology.brokers[0] ?? "").run(["doctor", "--json"]);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(findings.find(({ check }) => check === "disk")?.found).toMatch(/MiB of [\d,]+ MiB free/);
    expect(findings.some(({ check }) => check === "maxmemory-policy")).toBe(false);
  } finally {
    await topology.stop();
  }
});
