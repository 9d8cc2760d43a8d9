/** docs/operations.md, "Backup and restore": what was stored, and how far groups were, comes back from a copy. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { connect, type Gmq } from "@gmq/client";
import { Redis } from "ioredis";
import { afterEach, expect, it } from "vitest";
import { startProcess, type TestProcess } from "./harness/child-process.js";
import { startRedis } from "./harness/redis-server.js";
import { waitUntilReady } from "./harness/wait-until.js";
import { entries, freePort, temporaryFolder } from "./harness/workspace.js";

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Running {
  readonly gmq: Gmq;
  readonly process: TestProcess;
}

async function start(args: readonly string[]): Promise<Running> {
  const [broker, storage, admin] = await Promise.all([freePort(), freePort(), freePort()]);
  const url = `http://127.0.0.1:${broker}`;
  const process_ = startProcess({
    name: "standalone",
    command: process.execPath,
    args: [
      entries.standalone,
      ...["--addr", `127.0.0.1:${broker}`],
      ...["--storage-addr", `127.0.0.1:${storage}`],
      ...["--admin-addr", `127.0.0.1:${admin}`],
      ...args,
    ],
  });
  cleanUps.push(() => process_.kill());
  await waitUntilReady(url, 30_000);
  const gmq = await connect({ brokers: [url], timeoutMs: 30_000 });
  cleanUps.push(() => gmq.close());
  return { gmq, process: process_ };
}

/** Stores three records, and lets a group settle the first. */
async function store({ gmq }: Running): Promise<void> {
  await gmq.admin.createTopic("orders", { partitions: 1 });
  for (const value of ["one", "two", "three"]) await gmq.producer().send("orders", { value });
  for await (const message of gmq.messages("orders", { group: "billing" })) {
    await message.ack();
    break;
  }
}

async function restOf({ gmq }: Running): Promise<string[]> {
  const values: string[] = [];
  for await (const message of gmq.messages("orders", { group: "billing" })) {
    values.push(new TextDecoder().decode(message.value));
    await message.ack();
    if (values.length === 2) break;
  }
  return values;
}

it("the embedded engine: the folder, copied while nothing runs", async () => {
  const folder = await temporaryFolder();
  cleanUps.push(() => folder.remove());
  const [data, backup, restored] = ["data", "backup", "restored"].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ];
  const first = await start(["--data", data]);
  await store(first);
  await first.gmq.close();
  await first.process.stop("SIGTERM", 40_000);
  await cp(data, backup, { recursive: true });

  await cp(backup, restored, { recursive: true });
  expect(await restOf(await start(["--data", restored]))).toEqual(["two", "three"]);
}, 120_000);

it("Redis: its own snapshot, in an empty Redis", async () => {
  const redis = await startRedis();
  cleanUps.push(() => redis.stop());
  const first = await start(["--redis-url", redis.url]);
  await store(first);
  await first.gmq.close();
  await first.process.stop("SIGTERM", 40_000);
  const folder = await temporaryFolder();
  cleanUps.push(() => folder.remove());
  const client = new Redis(redis.url);
  await client.save();
  const [, dir = ""] = (await client.config("GET", "dir")) as string[];
  await client.quit();
  await cp(join(dir, "dump.rdb"), join(folder.path, "dump.rdb"));
  await redis.kill();

  // The last --dir is the one that Redis takes.
  const restored = await startRedis({ args: ["--dir", folder.path] });
  cleanUps.push(() => restored.stop());
  expect(await restOf(await start(["--redis-url", restored.url]))).toEqual(["two", "three"]);
}, 120_000);
