/** docs/operations.md, backup and restore: what it says to copy is enough. */
import { copyFile, cp } from "node:fs/promises";
import { join } from "node:path";
import { connect, type Gmq } from "@gmq/client";
import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { startServices, startStandalone } from "./harness/topologies.js";
import { temporaryFolder } from "./harness/workspace.js";

async function send(gmq: Gmq, values: readonly string[]): Promise<void> {
  const producer = gmq.producer();
  for (const value of values) await producer.send("kept", { value, partition: 0 });
  await producer.close();
}

/** Takes and acks the next so many. */
async function take(gmq: Gmq, count: number): Promise<string[]> {
  const consumer = gmq.consumer("kept", { group: "g" });
  const taken: string[] = [];
  while (taken.length < count) {
    const batch = await consumer.receive({ timeoutMs: 20_000, max: count - taken.length });
    if (batch === null) break;
    taken.push(...batch.messages.map(({ value }) => new TextDecoder().decode(value)));
    await batch.ack();
  }
  await consumer.close();
  return taken;
}

it("an embedded engine's folder, copied while nothing runs, is a whole store", async () => {
  const [data, copy] = await Promise.all([temporaryFolder(), temporaryFolder()]);
  const first = await startStandalone({ args: ["--data", data.path] });
  try {
    const gmq = await connect({ brokers: first.brokers });
    await send(gmq, ["a", "b", "c", "d"]);
    expect(await take(gmq, 2)).toEqual(["a", "b"]);
    await gmq.close();
    await first.part("standalone").stop();
    await cp(data.path, copy.path, { recursive: true });
  } finally {
    await first.stop();
  }
  const second = await startStandalone({ args: ["--data", copy.path] });
  try {
    const gmq = await connect({ brokers: second.brokers });
    expect(await take(gmq, 2)).toEqual(["c", "d"]);
    await gmq.close();
  } finally {
    await second.stop();
    await Promise.all([data.remove(), copy.remove()]);
  }
});

it("a snapshot of Redis brings everything back to its moment", async () => {
  const topology = await startServices({ redis: {} });
  const backup = await temporaryFolder();
  try {
    const gmq = await connect({ brokers: topology.brokers });
    await send(gmq, ["a", "b", "c", "d"]);
    expect(await take(gmq, 2)).toEqual(["a", "b"]);
    const redis = new Redis(topology.redis?.url ?? "");
    await redis.save();
    const [, folder = ""] = (await redis.config("GET", "dir")) as string[];
    redis.disconnect();
    await copyFile(join(folder, "dump.rdb"), join(backup.path, "dump.rdb"));
    await send(gmq, ["later"]);
    expect(await take(gmq, 2)).toEqual(["c", "d"]);
    await gmq.close();
    for (const name of ["broker 1", "storage"]) await topology.part(name).stop();
    await topology.redis?.kill();
    await copyFile(join(backup.path, "dump.rdb"), join(folder, "dump.rdb"));
    await topology.redis?.restart();
    for (const name of ["storage", "broker 1"]) await topology.part(name).restart();
    const again = await connect({ brokers: topology.brokers });
    await send(again, ["e"]);
    // Settled after the backup: delivered once more. Stored after it: gone.
    expect(await take(again, 3)).toEqual(["c", "d", "e"]);
    await again.close();
  } finally {
    await topology.stop();
    await backup.remove();
  }
});
