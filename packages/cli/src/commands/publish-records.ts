import { GmqError } from "@gmq/protocol";
import type { SentRecord } from "../input/record-line.js";
import type { InputRecord } from "../input/record-source.js";

/** Where a record came to lie. */
export interface StoredAt {
  readonly partition: number;
  readonly offset: bigint;
  readonly duplicate: boolean;
}

/** What became of one record of the input. */
export type RecordOutcome =
  | ({ readonly line: number; readonly ok: true } & StoredAt)
  | { readonly line: number; readonly ok: false; readonly error: GmqError };

/** How a run ended. */
export interface PublishTally {
  readonly stored: number;
  readonly failed: number;
  /** True: the run ended at its first failure. */
  readonly stopped: boolean;
}

/** What `publishRecords` needs. */
export interface PublishRun {
  readonly source: AsyncIterable<readonly InputRecord[]>;
  /** Resolves when the record is stored. Called without waiting for the one before, in order. */
  readonly send: (record: SentRecord) => Promise<StoredAt>;
  readonly onError: "stop" | "skip";
  /** Called once for each record, in the order of completion. When it throws the run stops and throws the same at its end. */
  readonly report: (outcome: RecordOutcome) => Promise<void> | void;
  /** Records sent and not yet answered; bounds the run's memory together with the producer's own byte budget. */
  readonly inFlightMax?: number;
}

const inFlightDefault = 10_000;

/**
 * Publishes all records of a source with many in flight and waits for each answer. With `stop`, the first failure ends the reading; what was sent
 * before is still answered and counted. An interrupted source ends the run the same way, without a failure.
 */
export async function publishRecords(run: PublishRun): Promise<PublishTally> {
  const inFlightMax = run.inFlightMax ?? inFlightDefault;
  const inFlight = new Set<Promise<void>>();
  let stored = 0;
  let failed = 0;
  let stopped = false;
  let broken: { readonly error: unknown } | undefined;

  async function settle(outcome: RecordOutcome): Promise<void> {
    if (outcome.ok) stored += 1;
    else {
      failed += 1;
      if (run.onError === "stop") stopped = true;
    }
    try {
      await run.report(outcome);
    } catch (error) {
      stopped = true;
      broken ??= { error };
    }
  }
  async function publish(line: number, record: SentRecord): Promise<void> {
    let outcome: RecordOutcome;
    try {
      outcome = { line, ok: true, ...(await run.send(record)) };
    } catch (error) {
      outcome = { line, ok: false, error: GmqError.from(error) };
    }
    await settle(outcome);
  }
  async function publishBlock(records: readonly InputRecord[]): Promise<void> {
    for (const record of records) {
      if (stopped) return;
      if (!record.ok) {
        await settle(record);
        continue;
      }
      const done = publish(record.line, record).finally(() => inFlight.delete(done));
      inFlight.add(done);
      // Racing thousands is not cheap; the oldest are answered first, so waiting for one of them is enough.
      while (inFlight.size >= inFlightMax) await oldestOf(inFlight);
    }
  }

  try {
    for await (const records of run.source) {
      await publishBlock(records);
      if (stopped) break;
    }
  } finally {
    await Promise.all(inFlight);
  }
  if (broken !== undefined) throw broken.error;
  return { stored, failed, stopped };
}

function oldestOf(promises: ReadonlySet<Promise<void>>): Promise<void> | undefined {
  const [oldest] = promises;
  return oldest;
}
