/** Offsets that one consumer holds of a partition, as ranges in order. Pure; as many ranges as the consumer's credit and the cuts of entries make. */
export interface HeldRanges {
  readonly records: number;
  /** Adds an inclusive range; what is held already stays once. */
  add(firstOffset: bigint, lastOffset: bigint): void;
  /** Takes an inclusive range out, as far as it is held. */
  remove(firstOffset: bigint, lastOffset: bigint): void;
  /** Any offset of the range is held. */
  overlaps(firstOffset: bigint, lastOffset: bigint): boolean;
  /** Everything held, in order. */
  list(): OffsetRange[];
}

/** Inclusive. */
export interface OffsetRange {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
}

/** Makes an empty set of offsets. */
export function createHeldRanges(): HeldRanges {
  /** Ascending, apart from each other. */
  const ranges: { first: bigint; last: bigint }[] = [];
  let records = 0;

  /** Index of the first range that ends at `offset` or after it. */
  function firstEndingFrom(offset: bigint): number {
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ranges[middle] as { last: bigint }).last < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function remove(first: bigint, last: bigint): void {
    if (last < first) return;
    const from = firstEndingFrom(first);
    let to = from;
    const rest: { first: bigint; last: bigint }[] = [];
    for (let range = ranges[to]; range !== undefined && range.first <= last; range = ranges[++to]) {
      records -= Number(range.last - range.first) + 1;
      if (range.first < first) rest.push({ first: range.first, last: first - 1n });
      if (range.last > last) rest.push({ first: last + 1n, last: range.last });
    }
    for (const range of rest) records += Number(range.last - range.first) + 1;
    ranges.splice(from, to - from, ...rest);
  }

  return {
    get records() {
      return records;
    },
    add(first, last) {
      if (last < first) return;
      remove(first, last);
      const at = firstEndingFrom(first);
      records += Number(last - first) + 1;
      const before = ranges[at - 1];
      // Records that go out one after another are one range.
      if (before !== undefined && before.last === first - 1n) before.last = last;
      else ranges.splice(at, 0, { first, last });
    },
    remove,
    overlaps(first, last) {
      const range = ranges[firstEndingFrom(first)];
      return range !== undefined && first <= last && range.first <= last;
    },
    list: () => ranges.map(({ first, last }) => ({ firstOffset: first, lastOffset: last })),
  };
}
