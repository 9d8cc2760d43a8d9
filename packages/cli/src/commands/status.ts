import { crashLosses } from "@gmq/protocol/portable";
import type { Command } from "commander";
import { renderFields } from "../output/table.js";
import { toJson, writeFlushed } from "../output/write.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";

/** Adds `gmq status`. */
export function addStatusCommand(program: Command, context: CommandContext): void {
  program
    .command("status")
    .summary("show the broker, its store and what a crash can lose")
    .description(
      "Shows the broker that answers and its store: whether it can serve, and what a crash of the store can lose.",
    )
    .addHelpText("after", "\nExamples:\n  gmq status\n  gmq status --json --broker http://localhost:50051")
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<GlobalOptions>(command);
      const status = await withClient(context, options, (gmq, call) => gmq.admin.status(call));
      if (options.json === true) {
        await writeFlushed(context.terminal.stdout, `${toJson(status)}\n`);
        return;
      }
      await writeFlushed(
        context.terminal.stdout,
        renderFields([
          ["broker", status.brokerId],
          ["version", status.version],
          ["sessions", status.sessions],
          ["up", `${Math.floor(status.uptimeMs / 1000)} s`],
          ["store", `${status.engine}, ${readiness(status)}`],
          ["durability", status.durability],
          ["a crash loses", crashLosses(status.durability) ?? "not known"],
          ...Object.entries(status.details).map(([name, value]) => [name, value] as const),
        ]),
      );
    });
}

/** A store may be ready and still not do all: when it is full it takes no records. */
function readiness({ ready, reason }: { readonly ready: boolean; readonly reason: string }): string {
  if (!ready) return `not ready: ${reason}`;
  return reason === "" ? "ready" : `ready (${reason})`;
}
