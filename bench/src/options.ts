import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { SystemName } from "./client/task.ts";

/** What the command line asks for. */
export interface BenchOptions {
  /** Workloads, or how names of cases begin. */
  readonly workloads: readonly string[];
  /** Undefined: all that a case names. */
  readonly systems: readonly SystemName[] | undefined;
  readonly rounds: number;
  readonly measureMs: number;
  readonly dataFile: string;
  readonly cores: number;
  readonly jsonFile: string | undefined;
  readonly profileFolder: string | undefined;
  /** Arguments of node for broker and storage. */
  readonly nodeArgs: readonly string[];
  readonly check: boolean;
  readonly strict: boolean;
  readonly keepBaseline: boolean;
}

const root = resolve(import.meta.dirname, "../..");

export const helpText = `Usage: make bench ARGS="[options]"

Measures GMQ beside its baselines: client, broker, storage and redis-server as processes of their own, rounds interleaved, medians and ratios.

  --workloads W1,W4   workloads or names of cases, W1 or the first words of a case (default W1,W2,W3; "all": every one but W9, MEM and RSS)
  --systems a,b       only these beside GMQ: floor-resp, floor-http2, floor-chain, floor-fsync, ioredis, bullmq, nats, rabbitmq ("none": GMQ alone)
  --rounds n          rounds of each system, interleaved (default 5, with --quick 1)
  --seconds n         measured time of a round (default 3, with --quick 2); W9, MEM and RSS have their own
  --quick             fewer, shorter rounds
  --data file         JSON lines for W8 (default tests/data/debian-packages-sample.ndjson)
  --json file         where the results go (default bench/results/<time>.json; "-": none)
  --profile folder    CPU profiles of client, broker and storage
  --node-args=--flag  arguments of node for broker and storage
  --check             compares the ratios with bench/baseline.json and reports; with --strict a ratio below its tolerance is exit code 1
  --keep-baseline     writes bench/baseline.json from this run
`;

/** Reads the command line. @throws Error for what it does not know */
export function readOptions(args: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      workloads: { type: "string", default: "W1,W2,W3" },
      systems: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      quick: { type: "boolean", default: false },
      data: { type: "string", default: resolve(root, "tests/data/debian-packages-sample.ndjson") },
      json: { type: "string" },
      profile: { type: "string" },
      "node-args": { type: "string", default: "" },
      check: { type: "boolean", default: false },
      strict: { type: "boolean", default: false },
      "keep-baseline": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
  const json = values.json ?? resolve(import.meta.dirname, `../results/${stamp}.json`);
  return {
    workloads: values.workloads.split(",").map((name) => name.trim()),
    systems: values.systems?.split(",").filter((name) => name !== "none") as SystemName[] | undefined,
    rounds: positive("rounds", values.rounds ?? (values.quick ? "1" : "5")),
    measureMs: positive("seconds", values.seconds ?? (values.quick ? "2" : "3")) * 1_000,
    dataFile: resolve(values.data),
    cores: availableParallelism(),
    jsonFile: json === "-" ? undefined : resolve(json),
    profileFolder: values.profile === undefined ? undefined : resolve(values.profile),
    nodeArgs: values["node-args"].split(" ").filter((argument) => argument !== ""),
    check: values.check,
    strict: values.strict,
    keepBaseline: values["keep-baseline"],
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${name} is ${text}, a number above 0 was expected`);
}
