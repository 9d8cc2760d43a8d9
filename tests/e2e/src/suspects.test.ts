/** Records that end their consumers: each is found out and rejected, and nothing that only stood beside one is. Real processes, really killed. */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type Gmq } from "@gmq/client";
import { afterEach, describe, expect, it } from "vitest";
import { startProcess, type TestProcess } from "./harness/child-process.js";
import { startServices, startStandalone, type Topology } from "./harness/topologies.js";
import { temporaryFolder } from "./harness/workspace.js";

let topology: Topology;
let gmq: Gmq;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let consumer: TestProcess | undefined;

afterEach(async () => {
  await consumer?.kill();
  await gmq.close();
  await topology.stop();
  await folder.remove();
});

describe.each([
  ["standalone, embedded engine", "exclusive", () => startStandalone()],
  ["separate processes, Redis", "exclusive", () => startServices()],
  ["separate processes, Redis", "shared", () => startServices()],
] as const)("%s, %s", (_name, mode, start) => {
  it("rejects two killers out of one entry, and every innocent is handled", async () => {
    topology = await start();
    folder = await temporaryFolder();
    gmq = await connect({ brokers: topology.brokers, timeoutMs: 30_000 });
    const topic = `t-${randomUUID().slice(0, 8)}`;
    await gmq.admin.createTopic(topic, { partitions: 1 });
    const values = Array.from({ length: 60 }, (_, n) => (n === 20 || n === 21 ? `killer-${n}` : `record-${n}`));
    // One batch, so one entry: take-overs are counted for all of it.
    const producer = gmq.producer();
    await producer.sendBatch(
      topic,
      values.map((value, n) => ({ key: `k${n % 6}`, value })),
    );
    const journal = join(folder.path, "journal");

    let deaths = 0;
    const isDone = async (): Promise<boolean> => {
      const { partitions } = await gmq.admin.describeGroup("g");
      return partitions.every(({ lag }) => lag === 0n);
    };
    for (let done = false; !done; ) {
      consumer = startProcess({
        name: "consumer",
        command: process.execPath,
        args: [
          join(import.meta.dirname, "harness/crashing-child.ts"),
          topology.brokers.join(","),
          topic,
          "g",
          journal,
          mode,
        ],
      });
      await consumer.waitForOutput(/consuming/, 30_000);
      const { exited } = consumer;
      let gone = false;
      void exited.then(() => (gone = true));
      await expect.poll(async () => gone || (await isDone()), { timeout: 60_000 }).toBe(true);
      done = !gone;
      if (gone) deaths++;
      // Twice 3 counted tries, and a few until they are suspects.
      expect(deaths).toBeLessThan(20);
    }
    await consumer?.stop();

    const { letters } = await gmq.admin.deadLetters(topic, { group: "g" });
    expect(
      letters.map(({ value, reason, attempts }) => [new TextDecoder().decode(value), reason, attempts]).toSorted(),
    ).toEqual([
      // Three tries that ended their processes, and the reject itself.
      ["killer-20", "hand backs exceeded", 4],
      ["killer-21", "hand backs exceeded", 4],
    ]);
    const handled = (await readFile(journal, "utf8")).split("\n").filter((line) => line !== "");
    const innocents = values.filter((value) => value.startsWith("record"));
    expect(new Set(handled.map((line) => line.split(" ")[1]))).toEqual(new Set(innocents));
    // None of them was ever counted as failed.
    expect(handled.filter((line) => !line.endsWith(" 1"))).toEqual([]);
    if (mode === "shared") return;
    // Each record of a key is done for the first time behind those before it.
    const firsts = [...new Set(handled.map((line) => line.split(" ", 2).join(" ")))];
    for (const [, own] of Map.groupBy(firsts, (line) => line.split(" ")[0])) {
      const numbers = own.map((line) => Number(line.split("-")[1]));
      expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
    }
  }, 180_000);
});
