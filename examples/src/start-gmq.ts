import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** A GMQ of the examples' own. */
export interface StartedGmq {
  /** Value for GMQ_BROKERS. */
  readonly brokers: string;
  /** Drains it and waits until it has ended. */
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL("../../apps/standalone/dist/main.js", import.meta.url));
const startTimeoutMs = 20_000;

/** Starts broker, storage and portal in one process, in memory, on ports that are free. @throws when it does not come up */
export async function startGmq(): Promise<StartedGmq> {
  const ports = ["--addr", "127.0.0.1:0", "--storage-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"];
  const child = spawn(process.execPath, [main, "--memory", "--log-level", "warn", ...ports], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  let written = "";
  const up = new Promise<string>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      written += text;
      const url = /broker +(http:\S+)/.exec(written)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
  const brokers = await Promise.race([up, ended, sleep(startTimeoutMs, undefined, { ref: false })]);
  if (typeof brokers !== "string") {
    child.kill("SIGKILL");
    throw new Error(`GMQ did not come up: ${written}`);
  }
  return {
    brokers,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
