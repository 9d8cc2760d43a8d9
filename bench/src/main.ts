/** `make bench`: measures, prints tables, writes JSON, compares with the baseline when asked. */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname } from "node:path";
import { type BenchOptions, helpText, readOptions } from "./options.ts";
import { compareWithBaseline, keepBaseline } from "./report/baseline.ts";
import { createProgress } from "./report/progress.ts";
import { summarize } from "./report/summary.ts";
import { renderCase } from "./report/table.ts";
import { type CaseResult, runSuite } from "./run-suite.ts";
import { type Case, createSuite } from "./suite.ts";

function choose(cases: readonly Case[], names: readonly string[]): Case[] {
  if (names.includes("all")) return cases.filter(({ onRequest }) => !onRequest);
  const matches = (item: Case, name: string): boolean =>
    item.workload === name || (name.includes(" ") && item.name.startsWith(name));
  for (const name of names)
    if (!cases.some((item) => matches(item, name))) throw new Error(`there is no workload ${name}; see --help`);
  return cases.filter((item) => names.some((name) => matches(item, name)));
}

function machine(cores: number): string {
  return `${cores} cores of ${cpus()[0]?.model.trim() ?? "an unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.versions.node}`;
}

async function run(options: BenchOptions): Promise<void> {
  const cases = choose(createSuite(options), options.workloads);
  process.stdout.write(
    `${machine(options.cores)}; ${options.rounds} rounds of ${options.measureMs / 1_000} s, medians\n\n`,
  );
  const results: CaseResult[] = await runSuite(cases, options, createProgress());
  const figures = summarize(results);
  const judged = figures.filter(({ targets }) => targets.length > 0);
  if (judged.length > 0) process.stdout.write(`Targets\n\n${judged.map(targetsOf).join("\n")}\n`);
  if (options.jsonFile !== undefined) {
    mkdirSync(dirname(options.jsonFile), { recursive: true });
    const report = { machine: machine(options.cores), date: new Date().toISOString(), figures, rounds: results };
    writeFileSync(options.jsonFile, `${JSON.stringify(report, undefined, 2)}\n`);
    process.stderr.write(`results: ${options.jsonFile}\n`);
  }
  if (options.keepBaseline) keepBaseline(figures, machine(options.cores));
  if (options.check) {
    const { lines, worse } = compareWithBaseline(figures);
    process.stdout.write(`${lines.join("\n")}\n`);
    if (worse > 0 && options.strict) process.exitCode = 1;
  }
}

function targetsOf(figures: ReturnType<typeof summarize>[number]): string {
  const [title, ...lines] = renderCase({ ...figures, systems: [] }).split("\n");
  return [title, ...lines.slice(1)].join("\n");
}

// Leaving runs the exit hooks, which end every server and delete its data.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

try {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") process.stdout.write(helpText);
  else await run(options);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
