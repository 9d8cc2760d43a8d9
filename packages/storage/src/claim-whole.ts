import { GmqError } from "@gmq/protocol";
import type { ClaimResult, DeskPeers, GroupStore, Ownership, PendingEntry } from "./engine.js";

/**
 * Claims a partition and reads on until everything pending is there: as a rule one call. Retry times are as of the answer. A crash between pages leaves a partition
 * that is claimed, which claiming again, under this epoch or a later one, reads from its beginning.
 * @throws GmqError what `GroupStore.claim` does
 */
export async function claimWhole(
  groups: Pick<GroupStore, "claim">,
  ownership: Ownership,
  peers?: DeskPeers,
): Promise<ClaimResult> {
  const first = await groups.claim(ownership, peers);
  if (first.next === undefined) return first;
  const pages = [{ pending: first.pending, readAtMs: performance.now() }];
  let { endOffset } = first;
  for (let from: bigint | undefined = first.next; from !== undefined; ) {
    const page: ClaimResult = await groups.claim(ownership, undefined, { from });
    // What a fetch that was on its way handed out since the first page is given to an owner again, and would be there twice; to a desk it is not.
    const pending =
      ownership.shared === true ? page.pending : page.pending.filter(({ baseOffset }) => baseOffset < first.position);
    pages.push({ pending, readAtMs: performance.now() });
    if (page.next !== undefined && page.next <= from)
      throw new GmqError("internal", `a claim's page at ${from} goes on at ${page.next}`, { field: "next" });
    endOffset = page.endOffset;
    from = page.next;
  }
  const nowMs = performance.now();
  const pending = pages.flatMap((page) => laterBy(nowMs - page.readAtMs, page.pending));
  return { position: first.position, endOffset, pending };
}

/** The same entries some time later. */
function laterBy(elapsedMs: number, pending: readonly PendingEntry[]): PendingEntry[] {
  return pending.map((entry) =>
    entry.due.length === 0
      ? entry
      : {
          ...entry,
          due: entry.due.map(({ index, inMs }) => ({ index, inMs: Math.ceil(Math.max(0, inMs - elapsedMs)) })),
        },
  );
}
