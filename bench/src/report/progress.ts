import type { CaseResult } from "../run-suite.ts";
import { summarize } from "./summary.ts";
import { renderCase } from "./table.ts";

/** What is told while a run is under way. */
export interface Progress {
  /** What runs now; shown on a terminal only. */
  doing(text: string): void;
  /** A line that stays, on stderr. */
  note(text: string): void;
  /** A case is through: its table, on stdout. */
  finished(result: CaseResult): void;
  stop(): void;
}

/** Progress of a command: tables on stdout, the rest on stderr. */
export function createProgress(): Progress {
  const isTerminal = process.stderr.isTTY === true;
  const clear = isTerminal ? "\r\u001b[K" : "";
  const startedMs = performance.now();
  return {
    doing(text) {
      if (isTerminal)
        process.stderr.write(`${clear}[${Math.round((performance.now() - startedMs) / 1_000)} s] ${text}`);
    },
    note: (text) => void process.stderr.write(`${clear}${text}\n`),
    finished(result) {
      process.stderr.write(clear);
      for (const figures of summarize([result])) process.stdout.write(`${renderCase({ ...figures, targets: [] })}\n`);
    },
    stop: () => void process.stderr.write(clear),
  };
}
