/** `gmq topics` for topics that are in use, as people type it. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CommandLine, commandLine } from "./harness/command-line.js";
import { startStandalone, type Topology } from "./harness/topologies.js";

let topology: Topology;
let gmq: CommandLine;

beforeAll(async () => {
  topology = await startStandalone({ args: ["--memory"] });
  gmq = commandLine(topology.brokers[0] ?? "");
}, 60_000);

afterAll(() => topology.stop());

it("makes, alters, grows and purges a topic, and shows first what would happen", async () => {
  const topic = `t-${randomUUID().slice(0, 8)}`;
  const made = await gmq.run(["topics", "create", topic, "--partitions", "1", "--work-queue", "--json"]);
  expect(JSON.parse(made.stdout)).toMatchObject({ name: topic, partitions: 1, retention: { workQueue: true } });
  const altered = await gmq.run([
    ...["topics", "alter", topic],
    ...["--retention-ms", "60000", "--no-work-queue", "--bytes-max", "5000000"],
  ]);
  expect(altered.errors).toBe("");
  expect(altered.stdout).toMatch(/retention +60000 ms\n/);
  const budgetOff = await gmq.run(["topics", "alter", topic, "--bytes-max", "0", "--json"]);
  expect(JSON.parse(budgetOff.stdout)).toMatchObject({ retention: { ms: 60_000 } });
  expect(budgetOff.stdout).not.toContain("bytesMax");

  for (const value of ["a", "b", "c"]) await gmq.run(["publish", topic, value]);
  await gmq.run(["consume", topic, "--group", topic, "--no-follow"]);
  for (const value of ["d", "e"]) await gmq.run(["publish", topic, value]);
  const purge = ["topics", "purge", topic, "--to-offset", "100"];
  const dry = await gmq.run([...purge, "--dry-run", "--json"]);
  const expected = [{ partition: 0, startBefore: "0", startAfter: "4", losses: [{ group: topic, records: "1" }] }];
  expect(JSON.parse(dry.stdout)).toEqual({ topic, dryRun: true, partitions: expected });
  expect((await gmq.run(purge)).stdout).toMatch(new RegExp(`\\n +0 +0 +4 +4  ${topic}: 1\\n`));
  expect((await gmq.run(["groups", "describe", topic])).stdout).toMatch(/ LOST\n.* 1\n/);
  expect((await gmq.run(["topics", "describe", topic])).stdout).toMatch(/PARTITION.*BYTES.*\n +0 +4 +5 +1 /);

  const grow = ["topics", "add-partitions", topic, "--to", "2"];
  expect((await gmq.run([...grow, "--dry-run"])).stdout).toMatch(/would have 2 partitions\nwarning: .*about 50 %/);
  expect((await gmq.run(grow)).stdout).toContain(`${topic} has 2 partitions`);
  const refused = await gmq.run(grow);
  expect(refused.code).toBe(1);
  expect(refused.errors).toContain("3 to 4096");
  expect((await gmq.run(["topics", "purge", topic, "--to-offset", "-1"])).code).toBe(2);
}, 90_000);
