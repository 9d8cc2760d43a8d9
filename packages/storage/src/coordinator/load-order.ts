/** Something that has so much to do, and its place among those that have as much. */
export interface Weighed {
  readonly rank: number;
  size: number;
}

/** Members by load, kept while loads change. */
export interface LoadOrder<Load extends Weighed> {
  /** The first by size, then by rank. Undefined: there is none. */
  first(): Load | undefined;
  /** Its size has changed. */
  changed(load: Load): void;
}

/** Makes the order, `lightest` or `heaviest` first. A change costs the logarithm of their number. */
export function createLoadOrder<Load extends Weighed>(
  loads: Iterable<Load>,
  direction: "lightest" | "heaviest",
): LoadOrder<Load> {
  const sign = direction === "lightest" ? 1 : -1;
  /** A heap. What was noted of a load with another size than it has is passed over when it comes up. */
  const noted: { readonly load: Load; readonly size: number }[] = [];

  function isBefore(left: number, right: number): boolean {
    const [one, other] = [noted[left], noted[right]];
    if (one === undefined || other === undefined) return one !== undefined;
    return one.size === other.size ? one.load.rank < other.load.rank : (one.size - other.size) * sign < 0;
  }

  function swap(left: number, right: number): void {
    const one = noted[left] as (typeof noted)[number];
    noted[left] = noted[right] as (typeof noted)[number];
    noted[right] = one;
  }

  function changed(load: Load): void {
    noted.push({ load, size: load.size });
    for (let at = noted.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!isBefore(at, parent)) return;
      swap(at, parent);
      at = parent;
    }
  }

  function dropFirst(): void {
    swap(0, noted.length - 1);
    noted.pop();
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const child = isBefore(right, left) ? right : left;
      if (!isBefore(child, at)) return;
      swap(at, child);
      at = child;
    }
  }

  for (const load of loads) changed(load);
  return {
    first() {
      for (let top = noted[0]; top !== undefined; top = noted[0]) {
        if (top.load.size === top.size) return top.load;
        dropFirst();
      }
      return undefined;
    },
    changed,
  };
}
