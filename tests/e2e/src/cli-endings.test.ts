/** How `gmq` ends when it is interrupted, when who reads its output goes away, and when what it was given is none. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createConnection, createServer } from "node:net";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { runCli } from "@gmq/cli";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CommandLine, commandLine } from "./harness/command-line.js";
import { startStandalone, type Topology } from "./harness/topologies.js";
import { entries, temporaryFolder } from "./harness/workspace.js";

let topology: Topology;
let gmq: CommandLine;
let brokerUrl: string;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  topology = await startStandalone({ args: ["--memory"] });
  brokerUrl = topology.brokers[0] ?? "";
  gmq = commandLine(brokerUrl);
  folder = await temporaryFolder();
}, 60_000);

afterAll(async () => {
  await topology.stop();
  await folder.remove();
});

/** Runs it with much input, and closes one of its outputs when that has said something. */
async function untilOutputIsRead(args: readonly string[], output: "stdout" | "stderr", input: string) {
  const child = spawn(process.execPath, [entries.cli, ...args], { env: { ...process.env, GMQ_BROKERS: brokerUrl } });
  child.stdin.on("error", () => child.stdin.destroy());
  child.stdin.write(input);
  (output === "stdout" ? child.stderr : child.stdout).resume();
  await once(child[output], "data");
  child[output].destroy();
  child.stdin.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return code;
}

/** A way to the broker on which calls, which have a connection of their own, may get no answers. */
async function startWay() {
  const target = Number(new URL(brokerUrl).port);
  let connections = 0;
  const server = createServer((incoming) => {
    const isForCalls = ++connections > 1;
    const outgoing = createConnection(target, "127.0.0.1");
    for (const [socket, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      socket.on("error", () => socket.destroy());
      socket.on("close", () => other.destroy());
    }
    incoming.pipe(outgoing);
    outgoing.on("data", (chunk) => {
      if (way.answersCalls || !isForCalls) incoming.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const way = { answersCalls: true, url: `http://127.0.0.1:${port}`, close: () => void server.close() };
  return way;
}

async function storedIn(topic: string): Promise<number> {
  const [described] = await gmq.json(["topics", "describe", topic]);
  const stats = described?.["partitionStats"] as readonly { readonly endOffset: string }[];
  return stats.reduce((sum, { endOffset }) => sum + Number(endOffset), 0);
}

describe("when its reader goes away", () => {
  it("a publish is no success when it has not published everything", async () => {
    const input = Array.from({ length: 20_000 }, (_, n) => `${n}\n`).join("");
    const code = await untilOutputIsRead(["publish", "cut-short", "--json"], "stdout", input);
    const stored = await storedIn("cut-short");
    expect([code, stored < 40_000]).toEqual([3, true]);
  });

  it("it goes on without anybody who reads its errors", async () => {
    const input = Array.from({ length: 20_000 }, (_, n) => (n % 2 === 0 ? "{\n" : `${n}\n`)).join("");
    const args = ["publish", "no-errors-read", "--format", "ndjson", "--on-error", "skip"];
    expect(await untilOutputIsRead(args, "stderr", input)).toBe(3);
    expect(await storedIn("no-errors-read")).toBe(20_000);
  });
});

describe("when it is interrupted", () => {
  it("waits for no secret", async () => {
    const stopping = new AbortController();
    const ignored = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() });
    const stdin = new PassThrough();
    stdin.write("begun");
    const terminal = { stdin, stdout: ignored(), stderr: ignored(), env: {}, interrupted: stopping.signal };
    const ended = runCli(["token", "password"], terminal);
    stopping.abort("signal");
    expect(await ended).toBe(130);
  });

  it("a copy says how far it came, also while it waits for what comes next", async () => {
    const lines = Array.from({ length: 250 }, (_, n) => `${n}`).join("\n");
    await gmq.run(["publish", "origin", "--partition", "0"], lines);
    await gmq.run(["topics", "create", "copies"]);
    const way = await startWay();
    const copying = commandLine(way.url).start(["republish", "origin", "--to", "copies", "--rate", "100", "--json"]);
    await expect.poll(() => storedIn("copies"), { timeout: 15_000 }).toBeGreaterThan(0);
    // It looks at 200 records at a time: the next look is not answered.
    way.answersCalls = false;
    await expect.poll(() => storedIn("copies"), { timeout: 15_000 }).toBe(200);
    expect(await copying.stop("SIGINT")).toEqual({ code: 130, signal: null });
    expect(JSON.parse(copying.stdout())).toMatchObject({ matched: 200, copied: 200 });
    way.close();
  });
});

it.each([
  ["dlq", "list"],
  ["dlq", "show", "t", "g"],
])("keeps to its --timeout: %s %s", async (...args) => {
  const way = await startWay();
  way.answersCalls = false;
  const { code, errors } = await commandLine(way.url).run([...args, "--timeout", "700"]);
  expect([code, errors]).toEqual([1, expect.stringMatching(/longer than \d{1,3} ms/)]);
  way.close();
});

describe("refuses", () => {
  it.each([
    ["consume", "a", "--group", "g", "--from", "9223372036854775808"],
    ["browse", "a", "--from", "9999999999999999999"],
    ["groups", "reset", "g", "--topic", "a", "--to", "9223372036854775808"],
  ])("an offset that is none as a usage error: %s", async (...args) => {
    const { code, errors } = await gmq.run(args);
    expect([code, errors]).toEqual([2, expect.stringMatching(/an offset such as 1200/)]);
  });

  it("a token file without a token", async () => {
    const file = join(folder.path, "token");
    await writeFile(file, "\n");
    const { code, errors } = await gmq.run(["topics", "list", "--token-file", file]);
    expect([code, errors]).toEqual([1, expect.stringMatching(/--token-file .*there is no token in it/)]);
  });
});
