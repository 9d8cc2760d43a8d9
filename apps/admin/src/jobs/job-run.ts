import type { GmqError } from "@gmq/protocol";
import type { PortalJob } from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";

/** What became of one item. */
export type ItemOutcome = "done" | "skipped" | "failed";

/** What a job is given while it runs. */
export interface JobRun {
  readonly jobId: string;
  readonly brokers: Brokers;
  /** Fires when the job is cancelled and when the portal ends. */
  readonly signal: AbortSignal;
  /** What an earlier run saved; "" at the first. */
  readonly checkpoint: string;
  /** The job's figures, as pages see them. Counts of items are raised by `note` and `count`. */
  readonly job: Pick<PortalJob, "total" | "scanned" | "unevaluated" | "fileBytes" | "done" | "skipped" | "failed">;
  /** Says what became of one item, and counts it. */
  note(outcome: ItemOutcome, item: string, detail?: string): void;
  /** Counts items that have nothing to tell one by one. */
  count(outcome: ItemOutcome, items: number): void;
  /** Adds to the job's file. */
  write(piece: Uint8Array): Promise<void>;
  /** Saves figures, outcomes, file and checkpoint as one: a resumed run goes on from here. */
  save(checkpoint: string): Promise<void>;
}

/** A job's request, understood. */
export interface JobWork {
  /** The act as the audit names it. */
  readonly action: string;
  /** In words, for the list of jobs. */
  readonly title: string;
  readonly topic: string;
  readonly group: string;
  /** False: nothing but a file of the portal is written, so a read-only portal allows it. */
  readonly writes: boolean;
  /** True: nothing is worth the audit. */
  readonly dryRun: boolean;
  /** True: topic and group are described before and after, for the audit. */
  readonly compared: boolean;
  /** Why it cannot go on after it was cut off, "" when it can. */
  readonly notResumable: string;
  /** Name of the file it writes, "" for none. */
  readonly fileName: string;
  /** @throws GmqError when it cannot go on */
  run(run: JobRun): Promise<void>;
}

/** "code: what happened", as outcomes tell it. */
export function said({ code, message }: GmqError): string {
  return `${code}: ${message}`;
}
