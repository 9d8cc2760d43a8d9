import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A server of the bench. */
export interface ServerProcess {
  readonly name: string;
  readonly pid: number;
  /** Asks it to end (SIGTERM), kills it after 10 s, and waits until it is gone. */
  stop(): Promise<void>;
}

/** What to start. */
export interface ServerSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Default: that of the bench. */
  readonly env?: NodeJS.ProcessEnv;
  /** How long it may take; default 20,000. */
  readonly readyMsMax?: number;
  /** Resolves true once it can serve; tried until then. */
  ready(): Promise<boolean>;
}

const running = new Set<ChildProcess>();
// The last resort when the bench itself ends early: nothing that it started may outlive it.
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

const readyMsMaxDefault = 20_000;
const outputBytesMax = 16 * 1024;

/** Starts a server and waits until it is ready. @throws with the end of its output when it ends or stays silent */
export async function startServer(spec: ServerSpec): Promise<ServerProcess> {
  const child = spawn(spec.command, [...spec.args], {
    cwd: spec.cwd,
    env: spec.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let output = "";
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputBytesMax);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  let ended = false;
  const exited = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true;
      running.delete(child);
      resolve();
    };
    child.once("error", (error) => {
      output += error.message;
      end();
    });
    child.once("close", end);
  });
  const deadlineMs = performance.now() + (spec.readyMsMax ?? readyMsMaxDefault);
  while (!(await spec.ready())) {
    if (ended || performance.now() > deadlineMs) {
      child.kill("SIGKILL");
      throw new Error(`${spec.name} did not become ready:\n${output}`);
    }
    await sleep(50);
  }
  return {
    name: spec.name,
    pid: child.pid as number,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** A port that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
