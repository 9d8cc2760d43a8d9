/**
 * The state of a partly settled entry, one character a record: `.` unsettled, `a` acked, `s` skipped, `x` rejected with its copy to the dead-letter topic
 * owed, `d` dead-lettered. Pure; the embedded engine runs it, the Redis engine's settle.lua does the same inside Redis, and the conformance suite holds both to it.
 */
import { GmqError } from "@gmq/protocol";
import type { EntrySettle, SettleRange, SettleRefusal } from "../engine.js";
import { checkRange } from "./check-range.js";

export const unsettledState = ".";
export const ackedState = "a";
export const skippedState = "s";
export const rejectedState = "x";
export const deadState = "d";

/** What settling some ranges does to an entry. */
export interface EntryChange {
  /** The new states. */
  readonly states: string;
  /** The states differ from before. */
  readonly changed: boolean;
  /** Records that were open before (unsettled, or rejected) and are settled now. */
  readonly newlySettled: number;
  /** No record is left unsettled or rejected. */
  readonly complete: boolean;
  readonly refusals: readonly SettleRefusal[];
  /** Ranges by index in the entry whose records failed: each counts an attempt. */
  readonly retried: readonly { readonly from: number; readonly to: number; readonly dueInMs: number | undefined }[];
  /** Records by index that are rejected now and were not before, with the range that says why. */
  readonly rejected: readonly { readonly index: number; readonly range: SettleRange }[];
  /** Records by index that were handed back. */
  readonly released: readonly number[];
}

/** The states of an entry that nobody has touched. */
export function freshStates(recordCount: number): string {
  return unsettledState.repeat(recordCount);
}

/**
 * Applies ranges to an entry's states, in order. A range that makes no sense is refused as `invalid_argument`, one outside the entry as
 * `not_delivered`, a retry of a settled or rejected record as `already_settled`, and so is a reject of one that was acked; the others take effect.
 * Acking what is settled, and rejecting what is rejected, changes nothing and is no error.
 */
export function settleEntry(states: string, entry: EntrySettle): EntryChange {
  let next = states;
  let newlySettled = 0;
  const refusals: SettleRefusal[] = [];
  const retried: { from: number; to: number; dueInMs: number | undefined }[] = [];
  const rejected: { index: number; range: SettleRange }[] = [];
  const released: number[] = [];
  for (const range of entry.ranges) {
    const senseless = checkRange(range);
    if (senseless !== undefined) {
      refusals.push({ firstOffset: range.firstOffset, lastOffset: range.lastOffset, error: senseless });
      continue;
    }
    const from = Number(range.firstOffset - entry.baseOffset);
    const to = Number(range.lastOffset - entry.baseOffset) + 1;
    if (from < 0 || to > entry.recordCount) {
      refusals.push(refuse(range, "not_delivered", "the range is not part of the entry"));
      continue;
    }
    const before = next.slice(from, to);
    if (range.verb === "ack") {
      newlySettled += countUnsettled(before);
      next = next.slice(0, from) + before.replaceAll(unsettledState, ackedState) + next.slice(to);
    } else if (range.verb === "reject") {
      if (before.includes(ackedState) || before.includes(skippedState)) {
        refusals.push(refuse(range, "already_settled", "a settled record cannot be rejected"));
        continue;
      }
      for (let index = from; index < to; index++) if (next[index] === unsettledState) rejected.push({ index, range });
      next = next.slice(0, from) + before.replaceAll(unsettledState, rejectedState) + next.slice(to);
    } else if (range.verb === "release") {
      for (let index = from; index < to; index++) if (next[index] === unsettledState) released.push(index);
    } else {
      if (countUnsettled(before) < before.length) {
        refusals.push(refuse(range, "already_settled", "a settled record cannot be retried"));
        continue;
      }
      retried.push({ from, to, dueInMs: range.inPlace === true ? undefined : (range.delayMs ?? 0) });
    }
  }
  return { ...changeTo(states, next, newlySettled), refusals, retried, rejected, released };
}

/** Notes that the copies of rejected records are in the dead-letter topic; records in any other state are passed over. */
export function buryRecords(states: string, indexes: readonly number[]): EntryChange {
  const letters = [...states];
  let newlySettled = 0;
  for (const index of indexes) {
    if (letters[index] !== rejectedState) continue;
    letters[index] = deadState;
    newlySettled++;
  }
  const change = changeTo(states, letters.join(""), newlySettled);
  return { ...change, refusals: [], retried: [], rejected: [], released: [] };
}

function changeTo(before: string, states: string, newlySettled: number) {
  const complete = !states.includes(unsettledState) && !states.includes(rejectedState);
  return { states, changed: states !== before, newlySettled, complete };
}

/** Number of records that are not settled: unsettled ones, and rejected ones whose copy is owed. */
export function countOpen(states: string): number {
  let count = 0;
  for (const state of states) if (state === unsettledState || state === rejectedState) count++;
  return count;
}

/** Number of unsettled records. */
export function countUnsettled(states: string): number {
  let count = 0;
  for (let index = states.indexOf(unsettledState); index >= 0; index = states.indexOf(unsettledState, index + 1))
    count++;
  return count;
}

function refuse(range: SettleRange, code: "not_delivered" | "already_settled", message: string): SettleRefusal {
  const { firstOffset, lastOffset } = range;
  return {
    firstOffset,
    lastOffset,
    error: new GmqError(code, `${message}: offsets ${firstOffset} to ${lastOffset}`, { field: "settle.ranges" }),
  };
}
