/** `gmq dlq`: what an operator types when records are poison. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { connect, type Gmq, Reject } from "@gmq/client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startStandalone, type Topology } from "./harness/topologies.js";
import { waitUntil } from "./harness/wait-until.js";

let topology: Topology;
let gmq: Gmq;

beforeAll(async () => {
  topology = await startStandalone({ args: ["--memory"] });
  gmq = await connect({ brokers: topology.brokers });
  const producer = gmq.producer();
  for (const value of ["a", "b", "c"]) await producer.send("orders", { key: `key-${value}`, value });
  await producer.close();
  let handled = 0;
  const subscription = gmq.subscribe("orders", { group: "billing" }, () => {
    handled++;
    throw new Reject("poison", { cause: new Error("no way") });
  });
  await waitUntil("three dead letters", async () => handled === 3 && (await open()) === 3n, 30_000);
  await subscription.close();
}, 60_000);

afterAll(async () => {
  await gmq.close();
  await topology.stop();
});

async function open(): Promise<bigint | undefined> {
  return (await gmq.admin.deadLetterQueues())[0]?.open;
}

const main = join(import.meta.dirname, "../../../packages/cli/dist/main.js");

function run(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const broker = topology.brokers[0] as string;
    execFile(process.execPath, [main, "--broker", broker, ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

it("lists, shows, redrives and discards dead letters", async () => {
  const list = await run("dlq", "list");
  expect(list.code).toBe(0);
  expect(list.stdout).toMatch(/orders\s+billing\s+3\s+orders\.billing\.dlq/);
  const show = await run("dlq", "show", "orders", "billing");
  expect(show.stdout).toMatch(/poison\s+3 /);
  expect(show.stdout).toMatch(/key-b\s+1\s+0\s+poison\s+Error: no way/);
  const json = await run("--json", "dlq", "show", "orders", "billing", "--key", "key-a");
  expect(JSON.parse(json.stdout)).toMatchObject({ key: "key-a", value: "a", reason: "poison", attempts: 1 });
  const { place } = JSON.parse(json.stdout) as { place: string };

  expect((await run("dlq", "redrive", "orders", "billing", "--dry-run")).stdout).toMatch(/^would redrive 3 of 3/);
  expect((await run("dlq", "redrive", "orders", "billing", "--select", place)).stdout).toMatch(/^redrove 1 of 1/);
  const discarded = await run("--json", "dlq", "discard", "orders", "billing", "--reason", "poison");
  expect(JSON.parse(discarded.stdout)).toEqual({ matched: 2, moved: 2, skipped: 0, failed: 0 });
  expect(await open()).toBe(0n);
}, 60_000);

it("refuses what cannot be", async () => {
  const missing = await run("dlq", "redrive", "orders", "nobody");
  expect(missing).toMatchObject({ code: 1 });
  expect(missing.stderr).toMatch(/no dead letters.*topic_not_found/);
  expect(await run("dlq", "redrive", "orders", "billing", "--rate", "-5")).toMatchObject({ code: 2 });
  expect(await run("dlq", "discard", "orders", "billing", "--select", "17")).toMatchObject({ code: 2 });
}, 60_000);
