import { GmqError, limits } from "@gmq/protocol";
import type { ClaimPage, PendingEntry } from "./engine.js";

/**
 * What is pending, page by page in order of offsets; a page is asked for when it is wanted, and as a rule the first is all. No page at all: the first answer was
 * undefined.
 * @throws GmqError what `ask` does; `internal` when a page does not go on
 */
export async function* pagesOf<Page extends { readonly next?: bigint | undefined }>(
  ask: (page: ClaimPage) => Promise<Page | undefined>,
): AsyncGenerator<Page, void, undefined> {
  let from: bigint | undefined;
  do {
    const page: Page | undefined = await ask(from === undefined ? {} : { from });
    if (page === undefined) return;
    yield page;
    const { next } = page;
    if (from !== undefined && next !== undefined && next <= from)
      throw new GmqError("internal", `a page of what is pending at ${from} goes on at ${next}`, { field: "next" });
    from = next;
  } while (from !== undefined);
}

/** A page, of a look at a group's place with that place. */
export interface PendingPage {
  readonly position?: bigint;
  readonly pending: readonly PendingEntry[];
  readonly next?: bigint | undefined;
}

/** All that is pending, in one piece, as of the first page's place if it tells one: without what was handed out since. Undefined: the first answer was. */
export async function wholeOf<Page extends PendingPage>(
  ask: (page: ClaimPage) => Promise<Page | undefined>,
): Promise<Omit<Page, "next"> | undefined> {
  let first: Page | undefined;
  const pending: Page["pending"][number][] = [];
  for await (const page of pagesOf(ask)) {
    first ??= page;
    const { position } = first;
    for (const entry of page.pending) if (position === undefined || entry.baseOffset < position) pending.push(entry);
  }
  if (first === undefined) return undefined;
  const { next: _last, ...rest } = first;
  return { ...rest, pending };
}

/** The bound of a page as an engine keeps it. */
export function pageItemsMax(itemsMax: number = limits.claimItemsMax): number {
  return Math.min(itemsMax, limits.claimItemsMax);
}
