/**
 * How many of the batches that wait go into one entry, so that Redis' memory holds little air. Redis keeps a large entry as one allocation, and jemalloc rounds
 * that up to one of four sizes between two powers of two: 263 KiB take 320. Pure.
 * Source: jemalloc(3), "size classes".
 */

/** What an entry takes beside its bodies: id, field names, listpack header, and its meta's part for each batch. About. */
const entryOverheadBytes = 160;
const batchOverheadBytes = 64;
/** Entries smaller than this share allocations or waste little. */
const worthCuttingBytes = 4_096;

/** Bytes that an allocation of so many takes. */
export function allocatedBytes(bytes: number): number {
  const step = Math.max(16, 2 ** (Math.floor(Math.log2(Math.max(bytes, 2) - 1)) - 2));
  return Math.ceil(bytes / step) * step;
}

/**
 * Number of batches, from the first, that fill their allocation best, of those that take at least half of the bytes: what is left waits for the next entry.
 * Among equals the larger number. At least 1 when there are any.
 */
export function batchesOfEntry(batchBytes: readonly number[]): number {
  const total = batchBytes.reduce((sum, bytes) => sum + bytes, 0);
  if (total < worthCuttingBytes) return batchBytes.length;
  let best = batchBytes.length;
  let bestFill = 0;
  let bytes = 0;
  batchBytes.forEach((more, index) => {
    bytes += more;
    if (bytes * 2 < total) return;
    const taken = allocatedBytes(bytes + entryOverheadBytes + (index + 1) * batchOverheadBytes);
    const fill = bytes / taken;
    if (fill < bestFill) return;
    bestFill = fill;
    best = index + 1;
  });
  return best;
}
