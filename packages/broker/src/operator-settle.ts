/**
 * An operator's settlement where the records are: in the dispatcher that handed them out. What waits there is taken out of the way before the store is asked, so
 * that a record is not settled and delivered at once; what a consumer of a shared group holds can be taken back from it. Pure but for what it is given.
 */
import type { EntrySettle, SettleRange, SettleRefusal } from "@gmq/storage";
import type { DelayedRun, Ledger } from "./ledger.js";
import { createRefuse, type Refusal, without } from "./settle-ranges.js";
import type { TakeBack } from "./takers.js";

export interface OperatorSettle {
  /** Records to release are with a consumer, and go to another one. */
  readonly takeBack?: boolean;
  /** Only tells what would be refused. */
  readonly dryRun?: boolean;
}

/** What it needs of a dispatcher. */
export interface OperatorSettleParts {
  readonly ledger: Pick<Ledger, "planFor" | "settled" | "stateOf">;
  readonly takeBack: TakeBack | undefined;
  /** The first offset that was not handed out. */
  readonly position: bigint;
  /** Takes single records out of what is to be delivered, and gives them as they waited. */
  takeOut(isMeant: (offset: bigint) => boolean): readonly DelayedRun[];
  bringBack(runs: readonly DelayedRun[]): void;
  /** @throws GmqError what the store refused all of it with */
  settle(entries: readonly EntrySettle[]): Promise<readonly SettleRefusal[]>;
}

/** Settles one record a range; what cannot be is refused, the rest is settled. @throws GmqError what the store refuses it with, then nothing is */
export async function settleForOperator(
  parts: OperatorSettleParts,
  ranges: readonly SettleRange[],
  { takeBack = false, dryRun = false }: OperatorSettle,
): Promise<readonly SettleRefusal[]> {
  const { ledger, bringBack } = parts;
  const refuse = createRefuse();
  const refusals: SettleRefusal[] = [];
  const open = ranges.filter((range) => {
    const why = refusalOf(parts, range.firstOffset, takeBack);
    if (why !== undefined) refusals.push(refuse(range, why));
    return why === undefined;
  });
  const plan = ledger.planFor(open, takeBack);
  refusals.push(...plan.refusals);
  if (dryRun || plan.entries.length === 0) return refusals;
  const meant = new Set(plan.entries.flatMap((entry) => entry.ranges.map(({ firstOffset }) => firstOffset)));
  // Both before the store is asked: what it settles must not go out meanwhile, nor be settled by who had it.
  const taken = parts.takeOut((offset) => meant.has(offset));
  const undo = new Map<bigint, () => void>();
  if (takeBack) for (const offset of meant) undo.set(offset, parts.takeBack?.take(offset) ?? nothing);
  let refused: readonly SettleRefusal[];
  try {
    refused = await parts.settle(plan.entries);
  } catch (error) {
    for (const giveAgain of undo.values()) giveAgain();
    bringBack(taken);
    throw error;
  }
  const refusedOffsets = new Set(refused.map(({ firstOffset }) => firstOffset));
  for (const offset of refusedOffsets) undo.get(offset)?.();
  ledger.settled(refusedOffsets.size === 0 ? plan.entries : without(plan.entries, refusedOffsets));
  const offsetOf = ({ baseOffset, from }: { baseOffset: bigint; from: number }): bigint => baseOffset + BigInt(from);
  // Another operator may have settled it while the store was asked.
  const released = plan.released.filter(
    (run) => !refusedOffsets.has(offsetOf(run)) && ledger.stateOf(offsetOf(run)) === "waiting",
  );
  bringBack([
    ...released.map((run) => ({ ...run, delayMs: 0 })),
    ...taken.filter((run) => refusedOffsets.has(offsetOf(run))),
  ]);
  return [...refusals, ...refused];
}

function refusalOf(parts: OperatorSettleParts, offset: bigint, takeBack: boolean): Refusal | undefined {
  if (offset >= parts.position) return "not_delivered";
  if (!takeBack) return undefined;
  const state = parts.ledger.stateOf(offset);
  if (state === "settled") return "already_settled";
  if (parts.takeBack === undefined) return "exclusive";
  return state === "waiting" ? "with_nobody" : parts.takeBack.refusal(offset);
}

function nothing(): void {
  // An exclusive owner's record is refused before.
}
