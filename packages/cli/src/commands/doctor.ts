import { GmqError } from "@gmq/protocol";
import type { Command } from "commander";
import { type BrokerFacts, examine, type Finding, type Level } from "../doctor/checks.js";
import { exitCodes } from "../exit-codes.js";
import { errorText } from "../output/error-text.js";
import { toJson, writeFlushed } from "../output/write.js";
import { brokerDefault, type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";

interface DoctorOptions extends GlobalOptions {
  readonly strict?: boolean;
}

interface Examined {
  readonly broker: string;
  readonly findings: readonly Finding[];
}

/** Answers asked for to measure how long one takes; the best counts. */
const latencySamples = 5;

/** Adds `gmq doctor`. */
export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command("doctor")
    .summary("check brokers and their store, and say what to change")
    .description(
      `Asks each broker that is named and looks at what it says of itself and its store: Redis' version, role, maxmemory-policy, memory, persistence, clock and
latency, or the disk of the embedded engine. Exits with 1 when something breaks a promise of GMQ (with --strict also when something only should be known).`,
    )
    .option("--strict", "exit with 1 for warnings too")
    .addHelpText(
      "after",
      "\nExamples:\n  gmq doctor\n  gmq doctor --json --broker http://b1:50051 --broker http://b2:50051",
    )
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<DoctorOptions>(command);
      const brokers = options.broker ?? [brokerDefault];
      const examined: Examined[] = [];
      for (const broker of brokers) examined.push(await examineBroker(context, options, broker));
      const { stdout } = context.terminal;
      const text = options.json === true ? examined.map((one) => `${toJson(one)}\n`) : examined.map(render);
      await writeFlushed(stdout, text.join(options.json === true ? "" : "\n"));
      const worst = new Set(examined.flatMap(({ findings }) => findings.map(({ level }) => level)));
      if (worst.has("fail") || (options.strict === true && worst.has("warn"))) context.exit(exitCodes.failure);
    });
}

async function examineBroker(context: CommandContext, options: DoctorOptions, broker: string): Promise<Examined> {
  try {
    const facts = await withClient(
      context,
      { ...options, broker: [broker] },
      async (gmq, call): Promise<BrokerFacts> => {
        let status = await gmq.admin.status(call);
        let latencyMs = Number.POSITIVE_INFINITY;
        for (let sample = 0; sample < latencySamples; sample++) {
          const startedMs = performance.now();
          status = await gmq.admin.status(call);
          latencyMs = Math.min(latencyMs, performance.now() - startedMs);
        }
        return { url: broker, status, latencyMs };
      },
    );
    return { broker, findings: examine(facts) };
  } catch (cause) {
    context.terminal.interrupted.throwIfAborted();
    const advice = "look whether it runs, and what its /readyz says";
    const found = errorText(GmqError.from(cause));
    return { broker, findings: [{ check: "broker", level: "fail", found, advice }] };
  }
}

const marks: Readonly<Record<Level, string>> = { ok: "ok  ", warn: "WARN", fail: "FAIL" };

function render({ broker, findings }: Examined): string {
  const width = findings.reduce((widest, { check }) => Math.max(widest, check.length), 0);
  const lines = findings.flatMap(({ check, level, found, advice }) => [
    `  ${marks[level]}  ${check.padEnd(width)}  ${found}`,
    ...(advice === "" ? [] : [`        ${" ".repeat(width)}  → ${advice}`]),
  ]);
  const count = (level: Level): number => findings.filter((one) => one.level === level).length;
  return `${broker}\n${lines.join("\n")}\n  ${count("fail")} failed, ${count("warn")} ${count("warn") === 1 ? "warning" : "warnings"}, ${count("ok")} fine\n`;
}
