/** The command line as people use it: real processes against a standalone on the embedded engine. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { runCli } from "@gmq/cli";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runProcess } from "./harness/child-process.js";
import { type CommandLine, commandLine, linesOf } from "./harness/command-line.js";
import { startStandalone, type Topology } from "./harness/topologies.js";
import { entries, root, temporaryFolder } from "./harness/workspace.js";

const sample = readFileSync(join(root, "tests/data/debian-packages-sample.ndjson"), "utf8");
const name = (): string => `t-${randomUUID().slice(0, 8)}`;

/** The sample twenty times: more than pipes hold, every record told apart by its number. */
const many = Array.from({ length: 20 }, () => linesOf(sample))
  .flat()
  .map((line, n) => JSON.stringify({ n, ...(JSON.parse(line) as { source: string }) }));

let topology: Topology;
let gmq: CommandLine;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let brokerUrl: string;

beforeAll(async () => {
  topology = await startStandalone();
  brokerUrl = topology.brokers[0] ?? "";
  gmq = commandLine(brokerUrl);
  folder = await temporaryFolder();
}, 60_000);

afterAll(async () => {
  await topology.stop();
  await folder.remove();
});

/** Values by key, in order. */
function byKey(records: readonly (readonly [key: string, value: string])[]): ReadonlyMap<string, readonly string[]> {
  return Map.groupBy(records, ([key]) => key) as unknown as ReadonlyMap<string, readonly string[]>;
}

function keyed(lines: readonly string[]): (readonly [string, string])[] {
  return lines.map((line) => [(JSON.parse(line) as { source: string }).source, line] as const);
}

/** The command line as a function, on a terminal of the test's. */
async function inThisProcess(args: readonly string[], { stdin = Readable.from([]), isTTY = false } = {}) {
  const written = { stdout: "", errors: "" };
  const into = (name: keyof typeof written): Writable =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += String(chunk);
        done();
      },
    });
  const stderr = Object.assign(into("errors"), { isTTY });
  const interrupted = new AbortController().signal;
  const code = await runCli(args, { stdin, stdout: into("stdout"), stderr, env: {}, interrupted });
  return { code, ...written };
}

describe("publish and consume", () => {
  it("stores every line of an ndjson file once, and prints each once, in order per key", async () => {
    const topic = name();
    const published = await gmq.run(["publish", topic, "--key-field", "source"], sample);
    expect(published).toMatchObject({ code: 0, stdout: "" });
    expect(published.errors).toMatch(/^published to t-\w+: 200 records in [\d.]+ s \([\d,]+\/s\)\n$/);
    const consumed = await gmq.run(["consume", topic, "--group", "all", "--no-follow", "--format", "{key}\\t{value}"]);
    expect(consumed).toMatchObject({ code: 0, errors: "" });
    const printed = linesOf(consumed.stdout).map((line) => line.split("\t") as [string, string]);
    expect(printed.length).toBe(200);
    expect(byKey(printed)).toEqual(byKey(keyed(linesOf(sample))));
    const again = await gmq.run(["consume", topic, "--group", "all", "--no-follow"]);
    expect(again).toEqual({ code: 0, stdout: "", errors: "" });
  });

  it.each([
    ["SIGINT", { code: 130, signal: null }, 0],
    // What was printed and not acked comes again: one batch at most.
    ["SIGKILL", { code: null, signal: "SIGKILL" }, 500],
  ] as const)("goes on where it stopped after %s", async (signal, exit, againMax) => {
    const topic = name();
    await gmq.run(["publish", topic, "--key-field", "source"], many.join("\n"));
    const first = await gmq.interrupt(["consume", topic, "--group", "g"], signal);
    expect(first).toMatchObject(exit);
    expect(first.lines.length).toBeGreaterThan(0);
    expect(first.lines.length).toBeLessThan(many.length);
    const second = linesOf((await gmq.run(["consume", topic, "--group", "g", "--no-follow"])).stdout);
    const seen = new Set(first.lines);
    const twice = second.filter((line) => seen.has(line));
    expect(twice.length).toBeLessThanOrEqual(againMax);
    const firstSight = [...first.lines, ...second.filter((line) => !seen.has(line))];
    expect(byKey(keyed(firstSight))).toEqual(byKey(keyed(many)));
    expect(firstSight.length).toBe(many.length);
  });

  it("takes values, lines, a file and raw bytes", async () => {
    const topic = name();
    await gmq.run(["topics", "create", topic, "--partitions", "1"]);
    expect(await gmq.json(["publish", topic, "--key", "k", "a", "b"])).toEqual([
      { line: 1, topic, partition: 0, offset: "0", duplicate: false },
      { line: 2, topic, partition: 0, offset: "1", duplicate: false },
    ]);
    await gmq.run(["publish", topic, "--header", "source=web"], "c\r\n\nd");
    const file = join(folder.path, "lines.txt");
    await writeFile(file, "e\n");
    await gmq.run(["publish", topic, "--file", file]);
    await gmq.run(["publish", topic, "--format", "raw"], Uint8Array.of(0xff, 0x0a, 0x00));
    const records = await gmq.json(["consume", topic, "--no-follow"]);
    expect(records.map(({ offset }) => offset)).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(records.map(({ value, valueBase64 }) => value ?? valueBase64)).toEqual(["a", "b", "c", "d", "e", "/woA"]);
    expect(records[0]).toMatchObject({ topic, partition: 0, key: "k", headers: {}, attempt: 1 });
    expect(records[2]).toMatchObject({ headers: { source: "web" } });
    expect(records[2]).not.toHaveProperty("key");
  });

  it("prints nothing whose --ttl is over, and refuses one of no sense", async () => {
    const topic = name();
    await gmq.run(["publish", topic, "--ttl", "1", "over"]);
    await gmq.run(["publish", topic, "--ttl", "3600000", "lives"]);
    const consumed = await gmq.run(["consume", topic, "--group", "g", "--no-follow"]);
    expect(consumed).toMatchObject({ code: 0, stdout: "lives\n" });
    expect(await gmq.run(["publish", topic, "--ttl", "0", "x"])).toMatchObject({ code: 2 });
  });

  it("begins a new group at an offset, a time or an end, and ends at a limit", async () => {
    const topic = name();
    await gmq.run(["topics", "create", topic, "--partitions", "1"]);
    await gmq.run(["publish", topic, "a", "b", "c"]);
    const read = async (...args: string[]) =>
      linesOf((await gmq.run(["consume", topic, "--no-follow", ...args])).stdout);
    expect(await read("--from", "earliest", "--limit", "2")).toEqual(["a", "b"]);
    expect(await read("--from", "1")).toEqual(["b", "c"]);
    expect(await read("--from", "latest")).toEqual([]);
    expect(await read("--from", "2020-01-01T00:00:00Z")).toEqual(["a", "b", "c"]);
    expect(await read("--from", new Date(Date.now() + 3_600_000).toISOString())).toEqual([]);
    const { groups } = { groups: await gmq.json(["groups", "list"]) };
    expect(groups.filter(({ group }) => String(group).startsWith("gmq-cli-"))).toEqual([]);
  });

  it("follows, over a broker that is killed and started again", async () => {
    const topic = name();
    const following = gmq.start(["consume", topic, "--group", "follow"]);
    await gmq.run(["publish", topic, "first"]);
    await following.waitForOutput(/^first$/m);
    await topology.part("standalone").kill();
    await following.waitForOutput(/connection is lost/);
    await topology.part("standalone").restart();
    await following.waitForOutput(/connected again/, 20_000);
    await gmq.run(["publish", topic, "second"]);
    await following.waitForOutput(/^second$/m, 20_000);
    expect(await following.stop("SIGTERM")).toEqual({ code: 130, signal: null });
  }, 60_000);

  it("ends quietly when the reader of its output has gone", async () => {
    const topic = name();
    await gmq.run(["publish", topic, "--key-field", "source"], many.join("\n"));
    const script = `"$0" "$1" consume ${topic} | head -3; echo "\${PIPESTATUS[0]}"`;
    const { stdout, output } = await runProcess({
      name: "gmq | head",
      command: "bash",
      args: ["-c", script, process.execPath, entries.cli],
      env: { GMQ_BROKERS: brokerUrl },
    });
    expect(linesOf(stdout).length).toBe(4);
    expect(linesOf(stdout).at(-1)).toBe("0");
    expect(output).toBe(stdout);
  });

  it("shows progress on a terminal's stderr only", async () => {
    // Longer than the first interval of the progress.
    async function* slow() {
      yield "one\n";
      await new Promise((resolve) => setTimeout(resolve, 500));
      yield "two\n";
    }
    const run = async (isTTY: boolean) => {
      const args = ["--broker", brokerUrl, "publish", name()];
      const { code, errors } = await inThisProcess(args, { stdin: Readable.from(slow()), isTTY });
      expect(code).toBe(0);
      return errors;
    };
    expect(await run(true)).toContain("\r\u001b[Kpublished 1 record in ");
    expect(await run(false)).toMatch(/^published to t-\w+: 2 records [^\r]*\n$/);
  });
});

describe("topics, groups and status", () => {
  it("makes, lists, describes and deletes", async () => {
    const topic = name();
    const group = `${topic}-g`;
    expect((await gmq.run(["topics", "create", topic, "--partitions", "2"])).stdout).toBe(
      `made ${topic} with 2 partitions\n`,
    );
    await gmq.run(["publish", topic, "--partition", "1", "a", "b"]);
    await gmq.run(["consume", topic, "--group", group, "--limit", "1", "--no-follow"]);
    expect(await gmq.json(["topics", "list"])).toContainEqual(expect.objectContaining({ name: topic, partitions: 2 }));
    const [described] = await gmq.json(["topics", "describe", topic]);
    expect(described).toMatchObject({ name: topic, partitionStats: [{ endOffset: "0" }, { endOffset: "2" }] });
    expect((await gmq.run(["topics", "describe", topic])).stdout).toMatch(/records +2\n/);
    expect(await gmq.json(["groups", "list"])).toContainEqual(
      expect.objectContaining({ group, topics: [topic], members: [] }),
    );
    const [progress] = await gmq.json(["groups", "describe", group]);
    expect(progress).toMatchObject({ partitions: [{ lag: "0" }, { partition: 1, endOffset: "2", lag: "1" }] });
    expect((await gmq.run(["groups", "describe", group])).stdout).toMatch(/MEMBER +CLIENT +BROKER +JOINED +HEARTBEAT/);
    expect((await gmq.run(["groups", "describe", group])).stdout).toMatch(/TOPIC +PARTITION +OWNER +POSITION/);
    expect(await gmq.json(["groups", "delete", group])).toEqual([{ group, deleted: true }]);
    expect(await gmq.json(["topics", "delete", topic])).toEqual([{ topic, deleted: true }]);
    expect((await gmq.run(["topics", "describe", topic])).code).toBe(1);
  });

  it("shows the store and what a crash of it loses", async () => {
    const [status] = await gmq.json(["status"]);
    expect(status).toMatchObject({ engine: "embedded", ready: true, durability: "disk" });
    expect((await gmq.run(["status"])).stdout).toMatch(/^a crash loses +nothing that was acknowledged$/m);
  });
});

describe("what goes wrong", () => {
  it("names the line that cannot be used, stops there, and goes on with --on-error skip", async () => {
    const topic = name();
    const input = '{"id":1}\nnot json\n{"id":2}\n{"other":3}\n';
    const stopped = await gmq.run(["publish", topic, "--key-field", "id"], input);
    expect(stopped.code).toBe(3);
    expect(stopped.errors).toMatch(/^gmq: line 2: not JSON: .+ \(invalid_argument, field value\)\n/);
    expect(stopped.errors).toMatch(/1 record in .*, 1 failed, stopped\n$/);
    const skipped = await gmq.run(["publish", topic, "--key-field", "id", "--on-error", "skip", "--json"], input);
    expect(skipped.code).toBe(3);
    const outcomes = linesOf(skipped.stdout).map((line) => JSON.parse(line) as { line: number; error?: object });
    expect(outcomes.filter(({ error }) => error === undefined).map(({ line }) => line)).toEqual([1, 3]);
    expect(outcomes.filter(({ error }) => error !== undefined)).toEqual([
      { line: 2, error: expect.objectContaining({ code: "invalid_argument", field: "value" }) },
      { line: 4, error: expect.objectContaining({ code: "invalid_argument", field: "id" }) },
    ]);
    expect(JSON.parse(skipped.errors)).toMatchObject({ stored: 2, failed: 2, stopped: false });
    expect((await gmq.run(["publish", topic, "--format", "ndjson"], "nope")).code).toBe(1);
  });

  it.each([
    [["publish", "orders", "--file", "/no/such/file"], 1, /no such file .*field file/],
    [["publish", "orders", "--file", "."], 1, /is a folder .*field file/],
    [["publish", "bad{name}", "x"], 1, /not allowed.*invalid_name, field topic/],
    [["publish", "orders", "--partition", "99", "x"], 1, /no partition 99 \(partition_not_found, field partition/],
    [["publish", "orders", "--partition", "x", "y"], 2, /--partition.*whole number from 0 to 4095/],
    [["publish", "orders", "--format", "xml", "y"], 2, /--format.*lines, ndjson, records, raw/],
    [["publish", "orders", "--key", "a", "--key-field", "b", "c"], 2, /--key and --key-field/],
    [["publish", "orders", "--format", "raw", "c"], 2, /--format raw reads stdin or --file/],
    [["publish"], 2, /missing required argument 'topic'/],
    [["publsh", "orders"], 2, /unknown command 'publsh'/],
    [["topics", "drop", "orders"], 2, /unknown command 'drop'/],
    [["consume", "orders", "--nope"], 2, /unknown option '--nope'/],
    [["consume", "orders", "--from", "yesterday"], 2, /--from.*expected earliest, latest, an offset/],
    [["consume", "orders", "--limit", "0"], 2, /--limit.*whole number from 1/],
    [["consume", "orders", "--format", "{nope}"], 2, /unknown \{nope\}.*\{topic\} \{partition\}/],
    [["consume", "orders", "--group", "no spaces"], 1, /invalid_name, field group/],
    [["topics", "create", "a", "--partitions", "5000"], 2, /--partitions.*from 1 to 4096/],
    [["topics", "describe", "missing"], 1, /no topic missing \(topic_not_found/],
    [["groups", "delete", "missing"], 1, /no group missing \(group_not_found/],
    [["status", "--broker", "localhost:1"], 2, /--broker.*expected a URL such as/],
    [["status", "--broker", "http://127.0.0.1:1", "--timeout", "300"], 1, /no broker answers.*nothing listens there/],
  ] as const)("%j", async (args, code, message) => {
    const outcome = await gmq.run(args);
    expect(outcome).toMatchObject({ code, stdout: "" });
    expect(outcome.errors).toMatch(message);
    expect(outcome.errors).toMatch(/^gmq: /);
    // One line; a misspelt command gets a second one with what was meant.
    expect(linesOf(outcome.errors).length).toBeLessThanOrEqual(outcome.errors.includes("Did you mean") ? 2 : 1);
  });

  it("tells errors as JSON too", async () => {
    const refused = await gmq.run(["topics", "describe", "missing", "--json"]);
    expect(JSON.parse(refused.errors)).toMatchObject({ error: { code: "topic_not_found", retryable: false } });
    const misused = await gmq.run(["--json", "topics", "create", "a", "--partitions", "0"]);
    expect(JSON.parse(misused.errors)).toMatchObject({ error: { code: "invalid_argument" } });
    expect(misused.code).toBe(2);
  });
});

describe("help", () => {
  const pages = [
    "",
    "publish",
    "consume",
    "topics",
    "topics create",
    "topics list",
    "topics describe",
    "topics delete",
    "groups",
    "groups list",
    "groups describe",
    "groups delete",
    "groups reset",
    "groups pause",
    "groups resume",
    "groups explain",
    "groups pending",
    "groups settle",
    "status",
  ];
  it.each(pages)("gmq %s --help has options and examples", async (page) => {
    const words = page.split(" ").filter((word) => word !== "");
    const { code, stdout, errors } = await inThisProcess([...words, "--help"]);
    expect({ code, errors }).toEqual({ code: 0, errors: "" });
    expect(stdout).toMatch(/^Usage: gmq/);
    expect(stdout).toMatch(/^Examples?:\n {2}gmq /m);
    expect(stdout).toContain("--json");
    expect(stdout).not.toContain("default: {}");
  });

  it("is what a bare gmq shows, as a usage error", async () => {
    const { code, errors } = await gmq.run([]);
    expect(code).toBe(2);
    expect(errors).toMatch(/^Usage: gmq/);
    expect(errors).toContain("Exit codes:");
  });
});
