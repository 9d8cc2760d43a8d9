/** Settlements that the store did not answer, again: what is sent twice changes nothing the second time. */
import { setTimeout as sleep } from "node:timers/promises";
import { GmqError, limits } from "@gmq/protocol";
import type { EntrySettle, PartitionSettle, SettleOutcome, SettleRefusal } from "@gmq/storage";

const delayMsMin = 50;
const delayMsMax = 2_000;

/**
 * Settles, and sends it again on a retryable error until the store answers, `isOver` says that nobody owns the partition any more, or `untilMs` (default
 * `limits.settleResendMsMax`) have passed. A retry is sent again as a release: the record comes again, and an attempt that the store may have counted is not
 * counted twice. What was not sent again would be with a consumer that is done with it, and never come again.
 */
export async function resend(
  settlement: PartitionSettle,
  send: (settlement: PartitionSettle) => Promise<SettleOutcome>,
  isOver: () => boolean,
  untilMs: number = limits.settleResendMsMax,
): Promise<SettleOutcome> {
  const startedMs = performance.now();
  let outcome = await answerOf(send(settlement));
  if (!mayRepeat(outcome)) return outcome;
  const entries = withoutAttempts(settlement.entries);
  for (let failures = 0; mayRepeat(outcome); failures++) {
    const delayMs = backoffMs(failures);
    if (isOver() || performance.now() + delayMs - startedMs > untilMs) return outcome;
    await sleep(delayMs);
    if (isOver()) return outcome;
    outcome = await answerOf(send({ ...settlement, entries }));
  }
  return outcome;
}

/** How long to wait after so many failures, the first one being 0: twice as long each time, and never all at once. */
export function backoffMs(failures: number): number {
  return Math.min(delayMsMax, delayMsMin * 2 ** Math.min(failures, 8)) * (0.5 + Math.random() / 2);
}

/** The failed attempts of a settlement that had to be sent again: whether the store has counted them is not known, and their consumer is told so. */
export function attemptsNotKnown(entries: readonly EntrySettle[]): SettleRefusal[] {
  const error = new GmqError("store_unavailable", "the store did not answer: the failed attempt may not be counted");
  return entries.flatMap(({ ranges }) =>
    ranges
      .filter(({ verb }) => verb === "retry")
      .map(({ firstOffset, lastOffset }) => ({ firstOffset, lastOffset, error })),
  );
}

function mayRepeat(outcome: SettleOutcome): boolean {
  return !outcome.ok && outcome.error.retryable;
}

async function answerOf(answer: Promise<SettleOutcome>): Promise<SettleOutcome> {
  try {
    return await answer;
  } catch (error) {
    return { ok: false, error: GmqError.from(error) };
  }
}

function withoutAttempts(entries: readonly EntrySettle[]): EntrySettle[] {
  return entries.map((entry) => ({
    ...entry,
    ranges: entry.ranges.map((range) => (range.verb === "retry" ? { ...range, verb: "release" as const } : range)),
  }));
}
