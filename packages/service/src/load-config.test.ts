import { expect, it } from "vitest";
import { z } from "zod";
import { parseConfig } from "./load-config.js";

const schema = z.object({
  addr: z.string().default("0.0.0.0:50051").describe("Where to listen"),
  partitions: z.number().int().min(1).max(4096).default(4).describe("Partitions of a new topic"),
  autoCreate: z.boolean().default(true).describe("Create topics by use"),
  redisPass: z.string().optional().describe("Password of Redis"),
  storage: z.array(z.string()).default(["http://localhost:50052"]).describe("Storage services"),
  engine: z.enum(["redis", "embedded"]).describe("Where the log is kept").default("embedded"),
});

function parse(argv: string[], env: Record<string, string> = {}, strict = schema) {
  return parseConfig({
    name: "gmq-test",
    version: "1.2.3",
    description: "Tests GMQ.",
    schema: strict,
    flags: { redisPass: { secret: true }, addr: { placeholder: "host:port" } },
    examples: ["gmq-test --addr :1"],
    argv,
    env,
  });
}

function values(argv: string[], env?: Record<string, string>) {
  const outcome = parse(argv, env);
  if (outcome.kind !== "config") throw new Error(JSON.stringify(outcome));
  return outcome.config.values;
}

function problems(argv: string[], env?: Record<string, string>) {
  const outcome = parse(argv, env);
  if (outcome.kind !== "refused") throw new Error(JSON.stringify(outcome));
  return outcome.problems;
}

it("takes flags before variables before defaults", () => {
  expect(values([])).toMatchObject({ addr: "0.0.0.0:50051", partitions: 4, autoCreate: true, engine: "embedded" });
  const env = { GMQ_PARTITIONS: "8", GMQ_ADDR: "a:1", GMQ_STORAGE: "http://a, http://b", GMQ_ENGINE: "", PATH: "/" };
  expect(values(["--partitions", "16"], env)).toMatchObject({
    partitions: 16,
    addr: "a:1",
    storage: ["http://a", "http://b"],
    engine: "embedded",
  });
  expect(values(["--partitions=2"]).partitions).toBe(2);
});

it("reads booleans in every spelling", () => {
  expect(values(["--auto-create"]).autoCreate).toBe(true);
  expect(values(["--auto-create", "no"]).autoCreate).toBe(false);
  expect(values([], { GMQ_AUTO_CREATE: "off" }).autoCreate).toBe(false);
  expect(values(["--auto-create", "--addr", "b:2"])).toMatchObject({ autoCreate: true, addr: "b:2" });
});

it("leaves variables alone that are meant for clients, logs and tests", () => {
  const others = { GMQ_BROKERS: "http://b:1", GMQ_LOG_LEVEL: "debug", GMQ_TEST_X: "1" };
  expect(values([], others)).toEqual(values([]));
});

it("tells all problems at once, each by its name", () => {
  const told = problems(["stray", "--partitions", "many", "--adr", "x"], {
    GMQ_ENGINE: "mysql",
    GMQ_PARTITION: "1",
    GMQ_LOG_LEVEL: "debug",
    GMQ_TEST_X: "1",
    GMQ_SEEDED_BUG: "swallow-oom",
  });
  expect(told).toContain("unknown flag --adr");
  expect(told).toContain("unknown variable GMQ_PARTITION");
  expect(told).toContain("unknown variable GMQ_SEEDED_BUG");
  expect(told.find((line) => line.startsWith('--partitions "many"'))).toMatch(/expected number/);
  expect(told.find((line) => line.startsWith('GMQ_ENGINE "mysql"'))).toMatch(/redis.*embedded/);
  expect(told).toContain('unexpected argument "stray"');
  expect(told.join()).not.toContain("GMQ_LOG_LEVEL");
});

it("names a flag without its value, a bound, and a missing setting", () => {
  expect(problems(["--addr"]).join()).toMatch(/--addr/);
  expect(problems(["--partitions", "5000"]).join()).toMatch(/^--partitions "5000": .*4096/);
  const outcome = parse([], {}, schema.extend({ url: z.string().describe("Where Redis is") }) as never);
  expect(outcome).toEqual({ kind: "refused", problems: ["--url or GMQ_URL is missing: Where Redis is"] });
});

it("never shows a secret", () => {
  const outcome = parse(["--redis-pass", "s3cret"]);
  if (outcome.kind !== "config") throw new Error(outcome.kind);
  expect(outcome.config.values.redisPass).toBe("s3cret");
  expect(JSON.stringify(outcome.config.printable)).not.toContain("s3cret");
});

it("hides a password that was given where it does not belong", () => {
  const addresses = schema.extend({ nodes: z.array(z.string().regex(/^[a-z]+$/, "expected a word")) });
  const given = ["--nodes", "good,redis://me:s3cret@host:1", "me:s3cret@host"];
  expect(parse(given, {}, addresses as never)).toEqual({
    kind: "refused",
    problems: [
      'unexpected argument "[hidden]@host"',
      expect.stringMatching(/^--nodes "good,redis:\/\/\[hidden\]@host:1": /),
    ],
  });
});

it("has a page of help and a version", () => {
  const outcome = parse(["--help"]);
  if (outcome.kind !== "text") throw new Error(outcome.kind);
  for (const part of [
    "Usage: gmq-test [flags]",
    "Tests GMQ.",
    "--addr <host:port>",
    "(default: 0.0.0.0:50051, env: GMQ_ADDR)",
    "--engine <redis|embedded>",
    "--auto-create [yes|no]",
    "Examples:\n  $ gmq-test --addr :1",
  ]) {
    expect(outcome.text.replaceAll(/\n {4,}/g, " ")).toContain(part);
  }
  expect(parse(["--version"])).toEqual({ kind: "text", text: "1.2.3\n" });
});
