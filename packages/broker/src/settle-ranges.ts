/** What is wrong with the ranges of a settlement, whatever was delivered. Pure. */
import { type ErrorCode, GmqError } from "@gmq/protocol";
import type { EntrySettle, SettleRange, SettleRefusal } from "@gmq/storage";
import type { OffsetSpan } from "./offset-spans.js";

const fates = ["ack", "reject", "back"] as const;

/** Verbs that end a record: sent again they change nothing, so a settlement whose answer was lost may be repeated. */
export function isIdempotent({ verb }: SettleRange): boolean {
  return verb === "ack" || verb === "reject";
}

/** What becomes of a record; a try that failed in place changes nothing yet. */
function fateOf({ verb, inPlace }: SettleRange): (typeof fates)[number] | undefined {
  if (verb === "ack" || verb === "reject") return verb;
  return verb === "retry" && inPlace === true ? undefined : "back";
}

/** Compares ranges by where they begin. */
export function byFirstOffset(left: OffsetSpan, right: OffsetSpan): number {
  return left.firstOffset < right.firstOffset ? -1 : left.firstOffset > right.firstOffset ? 1 : 0;
}

/** Whether each range lies behind the one before it, so that none shares records with another. */
export function areApart(ranges: readonly OffsetSpan[]): boolean {
  let end = -1n;
  for (const { firstOffset, lastOffset } of ranges) {
    if (firstOffset <= end || lastOffset < firstOffset) return false;
    end = lastOffset;
  }
  return true;
}

/**
 * Ranges that share records with an earlier one of the settlement and say something else, or give a record back twice: it would be delivered again though it is
 * settled, or twice. To ack, or to reject, twice is no conflict, nor are tries that failed in place before the verdict: they may well come together.
 * Ranges in order cost a few comparisons each.
 */
export function conflictsOf(ranges: readonly SettleRange[]): ReadonlySet<SettleRange> {
  const found = new Set<SettleRange>();
  if (ranges.every(({ verb }) => verb === "ack")) return found;
  const sorted = [...ranges].sort(byFirstOffset);
  /** Last offset by fate. */
  const ends = { ack: -1n, reject: -1n, back: -1n };
  for (const range of sorted) {
    const { firstOffset, lastOffset } = range;
    const fate = fateOf(range);
    if (fate === undefined) continue;
    if (fates.some((other) => firstOffset <= ends[other] && (other !== fate || fate === "back"))) found.add(range);
    else if (lastOffset > ends[fate]) ends[fate] = lastOffset;
  }
  return found;
}

/** Why a range is refused: the error's code, and what is said of the records. */
const refusals = {
  not_delivered: ["not_delivered", "are not with this consumer"],
  already_settled: ["already_settled", "are settled already"],
  invalid_argument: ["invalid_argument", "are named twice in one settlement"],
  too_many: ["resource_exhausted", "are named too often in one settlement"],
  with_consumer: ["conflict", "are with the consumer now"],
  with_nobody: ["conflict", "wait in the broker, or are being settled: no consumer has them now"],
  with_only_consumer: ["conflict", "are with the only consumer that could take them here"],
  exclusive: ["conflict", "pass on with their partition only: an exclusive group has one consumer for it"],
} as const satisfies Record<string, readonly [ErrorCode, string]>;

export type Refusal = keyof typeof refusals;

/** Makes refusals for one settlement. They share one error per reason: there may be tens of thousands, and an error with its stack is dear. */
export function createRefuse(): (range: SettleRange, why: Refusal) => SettleRefusal {
  const errors = new Map<Refusal, GmqError>();
  return ({ firstOffset, lastOffset }, why) => {
    const [code, text] = refusals[why];
    const error = errors.get(why) ?? new GmqError(code, `records ${text}`, { field: "ranges" });
    errors.set(why, error);
    return { firstOffset, lastOffset, error };
  };
}

/** The settlements but for ranges that begin at these offsets: the store refused them. */
export function without(entries: readonly EntrySettle[], refused: ReadonlySet<bigint>): EntrySettle[] {
  return entries.map((entry) => ({
    ...entry,
    ranges: entry.ranges.filter(({ firstOffset }) => !refused.has(firstOffset)),
  }));
}
