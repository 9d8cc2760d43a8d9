import type { Readable, Writable } from "node:stream";

/** The process around a command, so that tests can be one. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C or SIGTERM (reason `"signal"`), or when the reader of stdout has gone (reason `"output-closed"`). */
  readonly interrupted: AbortSignal;
}

/**
 * The terminal of this process. The first Ctrl-C or SIGTERM asks the command to finish what is in flight, a second one ends the process at once.
 * A closed stdout (`gmq consume … | head`) asks the same. The listeners live until `close`.
 */
export function createProcessTerminal(): Terminal & { close(): void } {
  const controller = new AbortController();
  function onSignal(): void {
    if (controller.signal.aborted) process.exit(130);
    controller.abort("signal");
  }
  function onOutputError(): void {
    controller.abort("output-closed");
  }
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  process.stdout.on("error", onOutputError);
  process.stderr.on("error", nobodyToTell);
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    interrupted: controller.signal,
    close() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}

function nobodyToTell(): void {
  // The reader of the errors has gone (`gmq … 2>&1 | head`): what is under way goes on, and its exit code says how it went
}

/** True when the command was ended by a signal, not by its reader. */
export function endedBySignal(terminal: Terminal): boolean {
  return terminal.interrupted.aborted && terminal.interrupted.reason === "signal";
}
