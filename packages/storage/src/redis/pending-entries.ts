import type { HeldEntry, PendingEntry } from "../engine.js";
import type { Reply } from "./redis-command.js";
import { itemsOf, textOf } from "./scripts.js";

/** What came back of a record, from the retries hash. */
interface History {
  readonly offset: bigint;
  readonly attempts: number;
  readonly dueMs: number;
  readonly releases: number;
}

/**
 * Pending entries of a reply of `claim` or `claim-page`: now in ms, the pending hash (base → count or states), the retries hash (offset → attempts, due time,
 * releases) and delivery counts, which begin at 1. In order of offsets.
 */
export function pendingEntries(reply: readonly Reply[]): PendingEntry[] {
  const nowMs = Number(textOf(reply[1]));
  const histories = historiesOf(itemsOf(reply[3]));
  const takeOvers = new Map(pairsOf(itemsOf(reply[4])).map(([base, count]) => [BigInt(base), Number(count) - 1]));
  const entries = pairsOf(itemsOf(reply[2])).map(([base, value]) => {
    const isCount = /^\d+$/.test(value);
    return {
      baseOffset: BigInt(base),
      recordCount: isCount ? Number(value) : value.length,
      states: isCount ? "" : value,
    };
  });
  entries.sort((one, other) => (one.baseOffset < other.baseOffset ? -1 : 1));
  let next = 0;
  return entries.map(({ baseOffset, recordCount, states }) => {
    const end = baseOffset + BigInt(recordCount);
    const attempts = [];
    const due = [];
    const releases = [];
    for (let item = histories[next]; item !== undefined && item.offset < end; item = histories[++next]) {
      if (item.offset < baseOffset) continue;
      const index = Number(item.offset - baseOffset);
      if (item.attempts > 0) attempts.push({ index, attempts: item.attempts });
      if (item.dueMs > 0) due.push({ index, inMs: Math.max(0, item.dueMs - nowMs) });
      if (item.releases > 0) releases.push({ index, releases: item.releases });
    }
    const handBacks = { takeOvers: takeOvers.get(baseOffset) ?? 0, releases };
    return { baseOffset, recordCount, states, attempts, due, handBacks };
  });
}

/** The same of a reply of `claim-page` to who claimed nothing: it also tells since when each entry is with who has it, and with which desk. */
export function heldEntries(reply: readonly Reply[]): HeldEntry[] {
  const idles = new Map(pairsOf(itemsOf(reply[6])).map(([base, idleMs]) => [BigInt(base), Number(idleMs)]));
  const desks = new Map(pairsOf(itemsOf(reply[7])).map(([base, desk]) => [BigInt(base), desk]));
  return pendingEntries(reply).map((entry) => ({
    ...entry,
    idleMs: idles.get(entry.baseOffset) ?? 0,
    desk: desks.get(entry.baseOffset) ?? "",
  }));
}

function historiesOf(retries: readonly Reply[]): History[] {
  return pairsOf(retries)
    .map(([offset, value]) => {
      const [attempts, dueMs, releases = "0"] = value.split(" ");
      return {
        offset: BigInt(offset),
        attempts: Number(attempts),
        dueMs: Number(dueMs),
        releases: Number(releases),
      };
    })
    .sort((one, other) => (one.offset < other.offset ? -1 : 1));
}

function pairsOf(items: readonly Reply[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < items.length; at += 2) pairs.push([textOf(items[at]), textOf(items[at + 1])]);
  return pairs;
}

/** Where the page after one of `claim-page` begins; undefined: there is none. */
export function nextOf(reply: readonly Reply[]): bigint | undefined {
  const next = textOf(reply[5]);
  return next === "" ? undefined : BigInt(next);
}
