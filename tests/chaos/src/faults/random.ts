import { createHash } from "node:crypto";

/** Chance that a seed repeats. */
export interface Chance {
  /** At least 0, below 1. */
  next(): number;
  /** An integer of `from` to `to`, both included. */
  integer(from: number, to: number): number;
  pick<Item>(items: readonly Item[]): Item;
  /** In another order. */
  shuffled<Item>(items: readonly Item[]): Item[];
}

/** Makes a generator; the same seed gives the same numbers: hashes of the seed and a counter. */
export function createChance(seed: number): Chance {
  let count = 0;
  function next(): number {
    const digest = createHash("sha256").update(`${seed} ${count++}`).digest();
    return digest.readUInt32LE(0) / 2 ** 32;
  }
  const integer = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    next,
    integer,
    pick(items) {
      const item = items[integer(0, items.length - 1)];
      if (item === undefined) throw new Error("nothing to pick from");
      return item;
    },
    shuffled(items) {
      return items
        .map((item) => ({ item, rank: next() }))
        .sort((one, other) => one.rank - other.rank)
        .map(({ item }) => item);
    },
  };
}
