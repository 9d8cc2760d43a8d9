/** What users see when parts are missing: at start, and in the middle. */
import { connect, GmqError } from "@gmq/client";
import { afterEach, expect, test } from "vitest";
import { runProcess, startProcess, type TestProcess } from "./harness/child-process.js";
import { startRedis, type TestRedis } from "./harness/redis-server.js";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";
import { waitUntil, waitUntilReady } from "./harness/wait-until.js";
import { entries, freePort } from "./harness/workspace.js";

const topologies: Topology[] = [];
const processes: TestProcess[] = [];
const servers: TestRedis[] = [];

afterEach(async () => {
  for (const child of processes.splice(0)) await child.kill();
  for (const topology of topologies.splice(0)) await topology.stop();
  for (const server of servers.splice(0)) await server.stop();
});

test("a storage service waits for Redis: says so, is not ready, and becomes ready by itself", async () => {
  const redis = await startRedis({ password: "secret" });
  servers.push(redis);
  const port = await freePort();
  const start = (redisUrl: string): TestProcess => {
    const child = startProcess({
      name: "storage",
      command: process.execPath,
      args: [entries.storage, "--addr", `127.0.0.1:${port}`, "--redis-url", redisUrl],
    });
    processes.push(child);
    return child;
  };
  const locked = start(`redis://127.0.0.1:${redis.port}`);
  await locked.waitForOutput(/password/);
  await waitUntil("a red readiness that says why", async () => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    return response.status === 503 && /password/.test(await response.text());
  });
  await locked.stop();

  await redis.kill();
  const waiting = start(redis.url);
  await waiting.waitForOutput(/no connection to Redis/);
  await waitUntil("an answer", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status === 200);
  expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(503);
  await redis.restart();
  await waitUntilReady(`http://127.0.0.1:${port}`);
  expect(await waiting.stop()).toEqual({ code: 0, signal: null });
}, 60_000);

test("Redis down in the middle: senders wait or are told, nothing false is acknowledged, all goes on by itself", async () => {
  const topology = await startServices({ redis: { appendonly: "always" } });
  topologies.push(topology);
  const gmq = await connect({ brokers: topology.brokers });
  const producer = gmq.producer();
  const first = await producer.send("t", { value: "before", partition: 0 });
  expect(first.offset).toBe(0n);
  await topology.redis?.kill();
  const late = await producer.send("t", { value: "too late", partition: 0 }, { timeoutMs: 1_500 }).then(
    () => "stored",
    (error: unknown) => GmqError.from(error).code,
  );
  expect(["deadline_exceeded", "store_unavailable"]).toContain(late);
  const patient = producer.send("t", { value: "patient", partition: 0 }, { timeoutMs: 30_000 });
  await topology.redis?.restart();
  expect((await patient).offset).toBeGreaterThan(0n);
  await waitUntilReady(topology.brokers[0] as string);
  const { records } = await gmq.admin.browse("t", { partition: 0, timeoutMs: 20_000 });
  const values = records.map(({ value }) => new TextDecoder().decode(value));
  expect(values[0]).toBe("before");
  expect(values.filter((value) => value === "patient")).toHaveLength(1);
  await gmq.close();
}, 60_000);

test("a port in use and a data folder in use are told before anything else happens", async () => {
  const topology = await startStandalone();
  topologies.push(topology);
  const used = new URL(topology.brokers[0] as string).host;
  const port = await runProcess({
    name: "broker",
    command: process.execPath,
    args: [entries.broker, "--addr", used],
  });
  expect(port.code).toBe(1);
  expect(port.output).toMatch(/another process listens there/);
  const wrong = await runProcess({
    name: "broker",
    command: process.execPath,
    args: [entries.broker, "--storage", "ftp://x", "--partitions", "0", "--color", "red"],
    env: { GMQ_PARTITIONZ: "3" },
  });
  expect(wrong.code).toBe(2);
  for (const expected of ["--color", "--storage", "--partitions", "GMQ_PARTITIONZ"]) {
    expect(wrong.output).toContain(expected);
  }
});
