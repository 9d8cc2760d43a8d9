/** Every example is a process that ends by itself with 0, having checked its own outcome. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type StartedGmq, startGmq } from "./start-gmq.ts";

const run = promisify(execFile);
const folder = import.meta.dirname;
const files = readdirSync(folder).filter((file) => /^\d\d-.*\.ts$/.test(file));
const redisFolder = mkdtempSync(join(tmpdir(), "gmq-examples-"));
let gmq: StartedGmq;
let redis: ChildProcess;
let redisUrl: string;

beforeAll(async () => {
  gmq = await startGmq();
  const port = await freePort();
  redisUrl = `redis://127.0.0.1:${port}`;
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", redisFolder, "--save", ""];
  redis = spawn(process.env["GMQ_TEST_REDIS_SERVER"] ?? "redis-server", args, { stdio: "ignore" });
  // Whoever connects before it listens tries again.
  await once(redis, "spawn");
}, 30_000);

afterAll(async () => {
  await gmq.stop();
  const ended = once(redis, "exit");
  redis.kill("SIGKILL");
  await ended;
  rmSync(redisFolder, { recursive: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

it("finds them", () => expect(files.length).toBeGreaterThanOrEqual(5));

it.each(files)(
  "%s",
  async (file) => {
    const env = { ...process.env, GMQ_BROKERS: gmq.brokers, REDIS_URL: redisUrl };
    // Node 22 says of its own SQLite that it is experimental.
    const args = ["--disable-warning=ExperimentalWarning", join(folder, file)];
    const { stdout, stderr } = await run(process.execPath, args, { env, timeout: 50_000 });
    expect(stdout).not.toBe("");
    if (file.startsWith("05")) expect(stdout).toMatch(/^Redis:\n {2}appended/m);
    expect(stderr).toBe("");
  },
  60_000,
);

it("index.ts fails when an example does", async () => {
  const env = { ...process.env, GMQ_BROKERS: "not a url" };
  const outcome = await run(process.execPath, [join(folder, "index.ts"), "01"], { env, timeout: 50_000 }).catch(
    (error: unknown) => error,
  );
  expect(outcome).toMatchObject({ code: 1, stdout: expect.stringContaining("failed: 01-producer-with-keys.ts") });
}, 60_000);
