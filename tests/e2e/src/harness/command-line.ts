/** Runs of the real `gmq` command line. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type ProcessExit, type ProcessSpec, runProcess, startProcess, type TestProcess } from "./child-process.js";
import { entries } from "./workspace.js";

/** How a run ended; `errors` is what it wrote to stderr. */
export interface CommandOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly errors: string;
}

/** The command line against one broker. */
export interface CommandLine {
  run(args: readonly string[], input?: string | Uint8Array): Promise<CommandOutcome>;
  /** Runs it and reads each line of stdout as JSON. @throws when it does not exit with 0 */
  json(args: readonly string[], input?: string | Uint8Array): Promise<readonly Record<string, unknown>[]>;
  start(args: readonly string[]): TestProcess;
  /** Ends a run by a signal while its reader takes no more, then reads the rest: the whole lines that it printed. */
  interrupt(args: readonly string[], signal: "SIGINT" | "SIGKILL"): Promise<{ readonly lines: string[] } & ProcessExit>;
}

/** Makes the command line for a broker. */
export function commandLine(brokerUrl: string): CommandLine {
  const spec = (args: readonly string[]): ProcessSpec => ({
    name: `gmq ${args.join(" ")}`,
    command: process.execPath,
    args: [entries.cli, ...args],
    env: { GMQ_BROKERS: brokerUrl },
  });
  const run: CommandLine["run"] = async (args, input) => {
    const { code, stdout, output } = await runProcess({ ...spec(args), ...(input === undefined ? {} : { input }) });
    return { code, stdout, errors: output.replace(stdout, "") };
  };
  return {
    run,
    async json(args, input) {
      const { code, stdout, errors } = await run([...args, "--json"], input);
      if (code !== 0) throw new Error(`gmq ${args.join(" ")} exited with ${code}: ${errors}`);
      return linesOf(stdout).map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    start: (args) => startProcess(spec(args)),
    async interrupt(args, signal) {
      const { command, args: all, env } = spec(args);
      const child = spawn(command, [...all], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
      const chunks: Buffer[] = [];
      child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
      await once(child.stdout, "data");
      child.stdout.pause();
      child.kill(signal);
      child.stdout.resume();
      const [code, endedBy] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
      const text = Buffer.concat(chunks).toString();
      return { lines: linesOf(text.slice(0, text.lastIndexOf("\n") + 1)), code, signal: endedBy };
    },
  };
}

/** The lines of a text, empty ones left out. */
export function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
