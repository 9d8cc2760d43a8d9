import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A process that a test started and ends, by its pid. */
export interface TestProcess {
  readonly name: string;
  readonly pid: number;
  /** Everything it has written so far, stdout and stderr in order of arrival. */
  output(): string;
  /** What it has written to stdout so far. */
  stdout(): string;
  /** Resolves with how it ended, also when it ended before the call. */
  readonly exited: Promise<ProcessExit>;
  /** Resolves when its output matches. @throws when it ends first, or after `timeoutMs` (default 10 s), with the output so far */
  waitForOutput(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** Asks it to end (default SIGTERM) and waits; after `timeoutMs` (default 10 s) it is killed and the call throws. */
  stop(signal?: "SIGTERM" | "SIGINT", timeoutMs?: number): Promise<ProcessExit>;
  /** kill -9, and waits until it is gone. */
  kill(): Promise<ProcessExit>;
  /** Writes to its stdin. */
  write(text: string): void;
  /** Writes to its stdin and closes it. */
  endInput(text: string | Uint8Array): void;
}

/** How a process ended: one of the two is set. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What to start. */
export interface ProcessSpec {
  /** Shown in failures, for example "broker 2". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the test's environment, from which every GMQ_ variable has been taken out. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const running = new Map<number, ChildProcess>();
// The last resort when the test process itself ends early: nothing that it started may outlive it.
process.on("exit", () => {
  for (const child of running.values()) child.kill("SIGKILL");
});

/** Starts a process with pipes for its three streams. */
export function startProcess(spec: ProcessSpec): TestProcess {
  const child = spawn(spec.command, [...spec.args], {
    cwd: spec.cwd,
    env: { ...inheritedEnvironment(), ...spec.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const written: Buffer[] = [];
  const writtenToStdout: Buffer[] = [];
  const listeners = new Set<() => void>();
  let exit: ProcessExit | undefined;

  function collect(chunk: Buffer): void {
    written.push(chunk);
    for (const listener of listeners) listener();
  }
  child.stdout.on("data", (chunk: Buffer) => {
    writtenToStdout.push(chunk);
    collect(chunk);
  });
  child.stderr.on("data", collect);
  child.stdin.on("error", (error: NodeJS.ErrnoException) => {
    // A process that ends before it has read its input is something tests do on purpose.
    if (error.code !== "EPIPE") collect(Buffer.from(`stdin: ${error.message}\n`));
  });
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once("error", (error) => collect(Buffer.from(`spawn: ${error.message}\n`)));
    child.once("close", (code, signal) => {
      if (child.pid !== undefined) running.delete(child.pid);
      exit = { code, signal };
      for (const listener of listeners) listener();
      resolve(exit);
    });
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${spec.name}: ${spec.command} could not be started`);
  running.set(pid, child);

  const output = (): string => Buffer.concat(written).toString();
  const describe = (problem: string): Error => new Error(`${spec.name}: ${problem}; its output:\n${output()}`);

  return {
    name: spec.name,
    pid,
    output,
    stdout: () => Buffer.concat(writtenToStdout).toString(),
    exited,
    waitForOutput(pattern, timeoutMs = 10_000) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => finish(() => reject(describe(`no ${pattern} within ${timeoutMs} ms`))),
          timeoutMs,
        );
        function finish(settle: () => void): void {
          clearTimeout(timer);
          listeners.delete(look);
          settle();
        }
        function look(): void {
          const match = pattern.exec(output());
          if (match !== null) finish(() => resolve(match));
          else if (exit !== undefined)
            finish(() => reject(describe(`ended with ${JSON.stringify(exit)} before ${pattern}`)));
        }
        listeners.add(look);
        look();
      });
    },
    async stop(signal = "SIGTERM", timeoutMs = 10_000) {
      child.kill(signal);
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        child.kill("SIGKILL");
      }, timeoutMs);
      const ended = await exited;
      clearTimeout(timer);
      if (late) throw describe(`did not end within ${timeoutMs} ms of ${signal}`);
      return ended;
    },
    async kill() {
      child.kill("SIGKILL");
      return await exited;
    },
    write(text) {
      child.stdin.write(text);
    },
    endInput(text) {
      child.stdin.end(text);
    },
  };
}

/** Runs a process to its end. @throws when it takes longer than `timeoutMs` (default 30 s) */
export async function runProcess(
  spec: ProcessSpec & { readonly input?: string | Uint8Array; readonly timeoutMs?: number },
): Promise<{ readonly code: number | null; readonly stdout: string; readonly output: string }> {
  const child = startProcess(spec);
  child.endInput(spec.input ?? "");
  const timeoutMs = spec.timeoutMs ?? 30_000;
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  const late = once(timeout.signal, "abort").then(() => "late" as const);
  const ended = await Promise.race([child.exited, late]);
  clearTimeout(timer);
  if (ended === "late") {
    await child.kill();
    throw new Error(`${spec.name}: did not end within ${timeoutMs} ms; its output:\n${child.output()}`);
  }
  return { code: ended.code, stdout: child.stdout(), output: child.output() };
}

function inheritedEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("GMQ_") && !name.startsWith("VITEST")),
  );
}
