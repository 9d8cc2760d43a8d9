import { setTimeout as sleep } from "node:timers/promises";

/** Hands items on at no more than so many a second, in the blocks they came in or in smaller ones; 0: as they come. Ends early when the signal fires. */
export async function* paced<Item>(
  source: AsyncIterable<readonly Item[]>,
  perSecond: number,
  signal: AbortSignal,
): AsyncGenerator<readonly Item[]> {
  if (perSecond === 0) {
    yield* source;
    return;
  }
  const size = Math.max(1, Math.floor(perSecond / 10));
  const startedAt = performance.now();
  let handed = 0;
  for await (const block of source) {
    for (let at = 0; at < block.length; at += size) {
      const waitMs = startedAt + (handed * 1_000) / perSecond - performance.now();
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(ignoreAbort);
      if (signal.aborted) return;
      const part = block.slice(at, at + size);
      handed += part.length;
      yield part;
    }
  }
}

function ignoreAbort(error: unknown): void {
  // The caller looks at the signal.
  if (!(error instanceof Error) || error.name !== "AbortError") throw error;
}
