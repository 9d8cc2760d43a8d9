/** A set of offsets as spans that do not overlap. Pure. */

/** Offsets from the first to the last, both included. */
export interface OffsetSpan {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
}

export interface OffsetSpans {
  readonly spans: readonly OffsetSpan[];
  /** Whether some offset of the span is in the set. */
  touches(span: OffsetSpan): boolean;
  /** Adds a span; returns what of it was not there, in order. */
  add(span: OffsetSpan): OffsetSpan[];
}

/** Makes a set of spans that lie in order and apart. */
export function createOffsetSpans(spans: OffsetSpan[] = []): OffsetSpans {
  /** Where the first span stands that does not end before an offset. */
  function placeOf(offset: bigint): number {
    let low = 0;
    let high = spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((spans[middle] as OffsetSpan).lastOffset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    spans,
    touches({ firstOffset, lastOffset }) {
      const next = spans[placeOf(firstOffset)];
      return next !== undefined && next.firstOffset <= lastOffset;
    },
    add({ firstOffset, lastOffset }) {
      const added: OffsetSpan[] = [];
      const at = placeOf(firstOffset);
      let end = at;
      let open = firstOffset;
      for (let own = spans[end]; own !== undefined && own.firstOffset <= lastOffset; own = spans[++end]) {
        if (open < own.firstOffset) added.push({ firstOffset: open, lastOffset: own.firstOffset - 1n });
        open = own.lastOffset + 1n;
      }
      if (open <= lastOffset) added.push({ firstOffset: open, lastOffset });
      if (added.length === 0) return added;
      const first = spans[at]?.firstOffset ?? firstOffset;
      spans.splice(at, end - at, {
        firstOffset: end > at && first < firstOffset ? first : firstOffset,
        lastOffset: open > lastOffset ? open - 1n : lastOffset,
      });
      return added;
    },
  };
}
