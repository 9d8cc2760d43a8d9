import type { CallOptions, Gmq } from "@gmq/client";
import type { Command } from "commander";
import { exitCodes } from "../exit-codes.js";
import { wholeNumber } from "../input/arguments.js";
import { toJson, writeFlushed } from "../output/write.js";
import { endedBySignal, type Terminal } from "../terminal.js";
import { drawFrame, type FrameSize } from "../top/frame.js";
import { ratesBetween } from "../top/rates.js";
import { type Sample, takeSample } from "../top/sample.js";
import { type CommandContext, type GlobalOptions, optionsOf, withClient } from "./context.js";

interface TopOptions extends GlobalOptions {
  readonly interval?: number;
  readonly once?: boolean;
}

const intervalMsDefault = 2_000;
const clearScreen = "\u001b[H\u001b[2J";
const enterScreen = "\u001b[?1049h\u001b[?25l";
const leaveScreen = "\u001b[?25h\u001b[?1049l";

/** Adds `gmq top`. */
export function addTopCommand(program: Command, context: CommandContext): void {
  program
    .command("top")
    .summary("watch rates, lag and sessions")
    .description(
      `Shows what is published and settled a second, the lag of every group and the size of every topic, again and again until Ctrl-C. On a terminal the screen is
redrawn; elsewhere each look is printed below the last. Looking costs the broker a few reads per topic and group.`,
    )
    .option("--interval <ms>", `time between looks (default: ${intervalMsDefault})`, wholeNumber(200, 3_600_000))
    .option("--once", "look once, over one interval, and end")
    .addHelpText("after", "\nExamples:\n  gmq top\n  gmq top --once\n  gmq top --json --interval 10000")
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<TopOptions>(command);
      await withClient(context, options, (gmq, call) => watch(gmq, call, options, context.terminal));
      if (endedBySignal(context.terminal)) context.exit(exitCodes.interrupted);
    });
}

async function watch(gmq: Gmq, call: CallOptions, options: TopOptions, terminal: Terminal): Promise<void> {
  const { stdout, interrupted } = terminal;
  const redraws = stdout.isTTY === true && options.once !== true && options.json !== true;
  const print = (text: string): Promise<void> => writeFlushed(stdout, text);
  let before = await takeSample(gmq, call);
  if (redraws) await print(enterScreen);
  try {
    for (;;) {
      await pauseUntil(options.interval ?? intervalMsDefault, interrupted);
      if (interrupted.aborted) return;
      const after = await takeSample(gmq, call);
      await print(render(before, after, options, redraws, terminal));
      if (options.once === true) return;
      before = after;
    }
  } catch (error) {
    // Ctrl-C is how it ends.
    if (!interrupted.aborted) throw error;
  } finally {
    if (redraws) await print(leaveScreen);
  }
}

function render(before: Sample, after: Sample, options: TopOptions, redraws: boolean, { stdout }: Terminal): string {
  const rates = ratesBetween(before, after);
  const time = new Date();
  if (options.json === true) return `${toJson({ time, status: after.status, ...rates })}\n`;
  const frame = drawFrame(after, rates, time, redraws ? sizeOf(stdout) : { rows: Infinity, columns: Infinity });
  return redraws ? `${clearScreen}${frame}` : options.once === true ? frame : `${frame}\n`;
}

function sizeOf(stdout: Terminal["stdout"] & { readonly rows?: number; readonly columns?: number }): FrameSize {
  return { rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 };
}

function pauseUntil(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
