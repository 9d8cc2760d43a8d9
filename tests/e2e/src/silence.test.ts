/** A consumer that is stopped, not killed: its connection stays, its partitions pass on with its session timeout, and what it does when it wakes is too late. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Gmq } from "@gmq/client";
import { afterEach, expect, test } from "vitest";
import { startProcess, type TestProcess } from "./harness/child-process.js";
import { readJournal } from "./harness/load.js";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";
import { temporaryFolder } from "./harness/workspace.js";

/** As consumer-child.ts has it unless it is told otherwise. */
const sessionTimeoutMs = 3_000;
let topology: Topology;
let gmq: Gmq;
let stopped: TestProcess;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

afterEach(async () => {
  await stopped.kill();
  await gmq.close();
  await topology.stop();
  await folder.remove();
});

test.each([
  ["standalone, embedded engine", () => startStandalone()],
  ["separate processes, Redis, two brokers", () => startServices({ brokers: 2 })],
])(
  "SIGSTOP of a consumer: %s",
  async (_name, start) => {
    topology = await start();
    folder = await temporaryFolder();
    gmq = await connect({ brokers: topology.brokers.toReversed() });
    const topic = `silent-${randomUUID().slice(0, 8)}`;
    const journal = join(folder.path, "journal");
    stopped = startProcess({
      name: "consumer",
      command: process.execPath,
      args: [join(import.meta.dirname, "harness/consumer-child.ts"), topology.brokers.join(","), topic, "g", journal],
    });
    await stopped.waitForOutput(/consuming/, 30_000);
    const handled: string[] = [];
    const mine = gmq.subscribe(topic, { group: "g", sessionTimeoutMs, concurrency: 8 }, ({ partition, offset }) => {
      handled.push(`${partition}/${offset}`);
    });
    await expect.poll(() => mine.assignments.length, { timeout: 15_000 }).toBe(2);
    await sleep(500);

    process.kill(stopped.pid, "SIGSTOP");
    const stoppedMs = performance.now();
    const producer = gmq.producer();
    const sent = await Promise.all(
      Array.from({ length: 400 }, (_, n) => producer.send(topic, { key: `k${n}`, value: `${n} x` })),
    );
    await expect.poll(() => mine.assignments.length, { timeout: 15_000, interval: 20 }).toBe(4);
    const takeOverMs = performance.now() - stoppedMs;
    console.log(
      `${_name}: take-over ${Math.round(takeOverMs)} ms after SIGSTOP, session timeout ${sessionTimeoutMs} ms`,
    );
    // Not before its time is up (heartbeats come every quarter of it), and not long after.
    expect(takeOverMs).toBeGreaterThan(sessionTimeoutMs / 2);
    expect(takeOverMs).toBeLessThan(sessionTimeoutMs + 4_000);
    await expect.poll(() => handled.length, { timeout: 15_000 }).toBe(400);

    // It wakes, is told that it lost everything, and comes back as an equal.
    process.kill(stopped.pid, "SIGCONT");
    await expect.poll(() => mine.assignments.length, { timeout: 15_000 }).toBe(2);
    const { partitions } = await gmq.admin.describeGroup("g");
    expect(partitions.map(({ lag }) => lag)).toEqual([0n, 0n, 0n, 0n]);
    const seen = new Set([...handled, ...(await readJournal(journal)).map(({ place }) => place)]);
    expect(sent.filter(({ partition, offset }) => !seen.has(`${partition}/${offset}`))).toEqual([]);
    await mine.close();
  },
  60_000,
);

test("SIGSTOP of a consumer for less than its session timeout, and longer than three heartbeats: it keeps its partitions", async () => {
  topology = await startServices({ brokers: 1 });
  folder = await temporaryFolder();
  gmq = await connect({ brokers: topology.brokers });
  const topic = `patient-${randomUUID().slice(0, 8)}`;
  const journal = join(folder.path, "journal");
  const child = join(import.meta.dirname, "harness/consumer-child.ts");
  stopped = startProcess({
    name: "consumer",
    command: process.execPath,
    args: [child, topology.brokers.join(","), topic, "g", journal, "0", "exclusive", "40000"],
  });
  await stopped.waitForOutput(/consuming/, 30_000);
  const handled: string[] = [];
  const mine = gmq.subscribe(topic, { group: "g" }, ({ partition, offset }) => {
    handled.push(`${partition}/${offset}`);
  });
  await expect.poll(() => mine.assignments.length, { timeout: 15_000 }).toBe(2);
  await sleep(500);
  const changes: string[] = [];
  void (async () => {
    for await (const { type } of mine.status()) if (type === "assigned" || type === "revoked") changes.push(type);
  })();

  process.kill(stopped.pid, "SIGSTOP");
  await sleep(12_000);
  const producer = gmq.producer();
  await Promise.all(Array.from({ length: 100 }, (_, n) => producer.send(topic, { key: `k${n}`, value: `${n} x` })));
  process.kill(stopped.pid, "SIGCONT");
  const places = async () => [...handled, ...(await readJournal(journal)).map(({ place }) => place)];
  await expect.poll(places, { timeout: 15_000 }).toHaveLength(100);
  await sleep(2_000);
  // Nothing came twice, and nobody else owned anything meanwhile.
  expect(new Set(await places()).size).toBe(100);
  expect(await places()).toHaveLength(100);
  expect(changes).toEqual([]);
  await mine.close();
}, 60_000);
