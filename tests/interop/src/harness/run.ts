/** Foreign command lines as processes. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root } from "./standalone.js";

/** How a command ended; `code` is null when a signal ended it. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  /** Ended with SIGTERM as soon as this says so of what was printed. */
  readonly enough?: (stdout: string) => boolean;
}

/** The workspace's own buf. */
export const buf = join(root, "node_modules/.bin/buf");

/** Runs a command to its end; it is killed after 60 s. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input, enough } = options;
  return new Promise((resolve, reject) => {
    // A group of its own: buf is a script that starts buf.
    const child = spawn(command, args, { stdio: "pipe", detached: true });
    const end = (signal: NodeJS.Signals): void => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid, signal);
    };
    const timer = setTimeout(() => end("SIGKILL"), 60_000);
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString("latin1");
      if (enough?.(stdout) === true) end("SIGTERM");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
    // Who does not read all of it is ended or fails by itself.
    child.stdin.on("error", (error) => {
      stderr += error.message;
    });
    child.stdin.end(input);
  });
}
