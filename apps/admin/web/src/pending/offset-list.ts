/** Offsets as `gmq` takes them: in order, what follows one another as a range, for example "17,20-25". */
export function offsetList(offsets: readonly bigint[]): string {
  const sorted = [...new Set(offsets)].sort((one, other) => (one < other ? -1 : 1));
  const ranges: { first: bigint; last: bigint }[] = [];
  for (const offset of sorted) {
    const current = ranges.at(-1);
    if (current !== undefined && offset === current.last + 1n) current.last = offset;
    else ranges.push({ first: offset, last: offset });
  }
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}
