import type { Terminal } from "../terminal.js";

/** A line on a terminal's stderr that says how far a command is; silent where stderr is no terminal. */
export interface Progress {
  /** Clears the line and stops its timer. Idempotent. */
  stop(): void;
}

const intervalMs = 200;

/** Shows records and rate five times a second, beginning after the first interval. */
export function startProgress(terminal: Terminal, verb: string, records: () => number): Progress {
  if (terminal.stderr.isTTY !== true) return { stop() {} };
  const startedAt = performance.now();
  const timer = setInterval(() => {
    terminal.stderr.write(`\r\u001b[K${verb} ${describeRate(records(), performance.now() - startedAt)}`);
  }, intervalMs);
  let stopped = false;
  return {
    stop() {
      if (stopped) return;
      stopped = true;
      clearInterval(timer);
      terminal.stderr.write("\r\u001b[K");
    },
  };
}

/** "21,222 records in 1.2 s (17,685/s)". */
export function describeRate(records: number, elapsedMs: number): string {
  const noun = records === 1 ? "record" : "records";
  const seconds = elapsedMs / 1000;
  const rate = seconds > 0 ? Math.round(records / seconds) : 0;
  return `${grouped(records)} ${noun} in ${seconds.toFixed(seconds < 10 ? 2 : 0)} s (${grouped(rate)}/s)`;
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
