import { createInterface } from "node:readline";

/** How a group reads: one consumer for each partition, or all of them together. */
export type GroupMode = "exclusive" | "shared";

/** What every actor is told. */
export interface ActorSpec {
  /** Unique in the run; names its journal. */
  readonly name: string;
  /** Folder of the run's journals. */
  readonly folder: string;
  readonly brokers: readonly string[];
  readonly topic: string;
}

export interface ProducerSpec extends ActorSpec {
  readonly keys: number;
  readonly ratePerSecond: number;
  /** How many it sends at most. */
  readonly records: number;
  readonly valueBytes: number;
  /** Records that are delayed by up to `delayMsMax`, and that live for `ttlMs`. */
  readonly delayPerMille: number;
  readonly delayMsMax: number;
  readonly ttlPerMille: number;
  readonly ttlMs: number;
  /** Deadline of a send. */
  readonly timeoutMs: number;
}

export interface ConsumerSpec extends ActorSpec {
  readonly group: string;
  readonly mode: GroupMode;
  readonly concurrency: number;
  readonly sessionTimeoutMs: number;
  readonly workMs: number;
  /** Records that fail three times, are put off twice, are handed back once. */
  readonly failPerMille: number;
  readonly retryPerMille: number;
  readonly releasePerMille: number;
  /** Records that are given up; that take longer than `processingTimeoutMs` and say so in time. */
  readonly rejectPerMille: number;
  readonly extendPerMille: number;
  readonly processingTimeoutMs?: number;
  /** `implicit`: the handler's end is the ack, without an answer. */
  readonly settle: "explicit" | "implicit";
  readonly maxInFlight?: number;
  readonly memberId?: string;
}

/** Codes after which a record may or may not be stored. */
const unknownCodes: ReadonlySet<string> = new Set([
  "unknown_outcome",
  "deadline_exceeded",
  "unavailable",
  "cancelled",
  "closed",
]);

export function isOutcomeUnknown(code: string): boolean {
  return unknownCodes.has(code);
}

/** Reads commands from stdin: a name, and for some a number of ms. */
export function readCommands(commands: Readonly<Record<string, (ms: number) => void>>): void {
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [name = "", ms = "0"] = line.split(" ");
    commands[name]?.(Number(ms));
  });
}
