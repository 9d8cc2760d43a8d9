/** The built standalone as a process of its own, on free ports, in memory: what a foreign client meets. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The checkout's root. */
export const root = resolve(import.meta.dirname, "../../../..");

export interface Standalone {
  /** `http://127.0.0.1:port` of the broker. */
  readonly url: string;
  /** `127.0.0.1:port` of the broker, for gRPC. */
  readonly address: string;
  /** SIGTERM, and how it ended. @throws when it is not gone within 10 s; it is killed then */
  stop(): Promise<number | null>;
}

/** Starts one. @param args more flags */
export async function startStandalone(args: readonly string[] = []): Promise<Standalone> {
  const any = "127.0.0.1:0";
  const child = spawn(
    process.execPath,
    [
      join(root, "apps/standalone/dist/main.js"),
      ...["--memory", "--addr", any, "--storage-addr", any, "--admin-addr", any],
      ...args,
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env["PATH"] } },
  );
  const lastResort = (): void => void child.kill("SIGKILL");
  process.once("exit", lastResort);
  const exited = once(child, "exit") as Promise<[number | null]>;
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  const deadlineMs = performance.now() + 20_000;
  let url: string | undefined;
  while (url === undefined || !(await isReady(url))) {
    url = /"url":"(http:\/\/[^"]+)","brokerId"/.exec(output)?.[1];
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      child.kill("SIGKILL");
      throw new Error(`the standalone did not start:\n${output}`);
    }
    await sleep(50);
  }
  return {
    url,
    address: url.replace("http://", ""),
    async stop() {
      process.off("exit", lastResort);
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      const [code] = await exited;
      clearTimeout(timer);
      if (code === null) throw new Error(`the standalone did not stop within 10 s:\n${output}`);
      return code;
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).ok;
  } catch {
    return false; // asked again until the deadline
  }
}
