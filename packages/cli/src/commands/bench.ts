import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { GmqError } from "@gmq/protocol";
import type { Command } from "commander";
import { exitCodes } from "../exit-codes.js";
import type { CommandContext } from "./context.js";

/** The benchmark of a checkout, from where this package's built files lie in it. */
const checkoutEntry = fileURLToPath(new URL("../../../../bench/src/main.ts", import.meta.url));

/** Adds `gmq bench`. `entry`: the benchmark's main module; default that of the checkout that this command line was built in. */
export function addBenchCommand(program: Command, context: CommandContext, entry = checkoutEntry): void {
  program
    .command("bench")
    .summary("measure GMQ beside other queues (needs a built checkout)")
    .description(
      "Measures GMQ beside other queues on this machine. Needs a built checkout (make build), redis-server, and some minutes.",
    )
    .argument("[options...]", "options of the benchmark, behind --; `gmq bench -- --help` lists them")
    .addHelpText("after", "\nExample:\n  gmq bench -- --help")
    .action(async (options: readonly string[]) => {
      if (!existsSync(entry)) {
        throw new GmqError(
          "unimplemented",
          "the benchmark runs from a checkout only: it builds and starts brokers, stores and other queues beside GMQ, none of which are part of this package. Clone the repository and run: make bench",
          { field: "bench" },
        );
      }
      const child = spawn(process.execPath, [entry, ...options], {
        stdio: "inherit",
        signal: context.terminal.interrupted,
      });
      const [code] = (await once(child, "exit")) as [number | null];
      context.exit(code === 0 ? exitCodes.ok : exitCodes.failure);
    });
}
