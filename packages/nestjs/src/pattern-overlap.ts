const deadLetterEnding = ".dlq";

/** True when a topic may exist that both name; either may be a name or have `*` in it. */
export function patternsOverlap(one: string, other: string): boolean {
  // Dead-letter topics match only a pattern that says so.
  if (one.endsWith(deadLetterEnding) !== other.endsWith(deadLetterEnding)) return false;
  const seen = new Set<number>();
  return meet(0, 0);

  function meet(i: number, j: number): boolean {
    const place = i * (other.length + 1) + j;
    if (seen.has(place)) return false;
    seen.add(place);
    const a = one[i];
    const b = other[j];
    if (a === undefined && b === undefined) return true;
    if (a === "*") return meet(i + 1, j) || (b !== undefined && meet(i, j + 1));
    if (b === "*") return meet(i, j + 1) || (a !== undefined && meet(i + 1, j));
    return a !== undefined && a === b && meet(i + 1, j + 1);
  }
}
