import type { HandBacks, LogEntry } from "@gmq/storage";
import type { AttemptsAt, Ledger } from "./ledger.js";
import type { CutRun } from "./ready-runs.js";

/** An entry, or a part of one, on its way to the consumer. */
export interface Delivery {
  readonly entry: LogEntry;
  /** By index in the delivered entry. */
  readonly attempts: readonly AttemptsAt[];
  /** By index in the delivered entry; undefined: it was never handed back. */
  readonly handBacks: HandBacks | undefined;
}

/** A cut run with what is known of its records; the ledger counts from the entry's beginning, a delivery from its own. */
export function deliveryOf(ledger: Ledger, run: CutRun): Delivery {
  const handBacks = ledger.handBacks(run);
  return {
    entry: run.bytes,
    attempts: ledger.attempts(run).map(({ index, attempts }) => ({ index: index - run.from, attempts })),
    handBacks:
      handBacks === undefined
        ? undefined
        : {
            takeOvers: handBacks.takeOvers,
            releases: handBacks.releases.map(({ index, releases }) => ({ index: index - run.from, releases })),
          },
  };
}
