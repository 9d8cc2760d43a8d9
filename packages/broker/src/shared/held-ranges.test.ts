import fc from "fast-check";
import { expect, it } from "vitest";
import { createHeldRanges } from "./held-ranges.js";

const range = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 12 })).map(([first, length]) => ({
  first: BigInt(first),
  last: BigInt(first + length - 1),
}));
const step = fc.record({ act: fc.constantFrom("add" as const, "remove" as const), range });

it("holds what a plain set of offsets holds", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), range, (steps, asked) => {
      const held = createHeldRanges();
      const model = new Set<bigint>();
      for (const {
        act,
        range: { first, last },
      } of steps) {
        held[act](first, last);
        for (let offset = first; offset <= last; offset++) {
          if (act === "add") model.add(offset);
          else model.delete(offset);
        }
      }
      expect(held.records).toBe(model.size);
      const listed = held.list();
      const offsets = listed.flatMap(({ firstOffset, lastOffset }) =>
        Array.from({ length: Number(lastOffset - firstOffset) + 1 }, (_, index) => firstOffset + BigInt(index)),
      );
      expect(offsets).toEqual([...model].sort((one, other) => Number(one - other)));
      const overlaps = [...model].some((offset) => offset >= asked.first && offset <= asked.last);
      expect(held.overlaps(asked.first, asked.last)).toBe(overlaps);
    }),
  );
});

it("joins what is held one after another, and keeps an empty range out", () => {
  const held = createHeldRanges();
  held.add(0n, 4n);
  held.add(5n, 9n);
  held.add(20n, 19n);
  expect(held.list()).toEqual([{ firstOffset: 0n, lastOffset: 9n }]);
  held.remove(3n, 6n);
  expect(held.list()).toEqual([
    { firstOffset: 0n, lastOffset: 2n },
    { firstOffset: 7n, lastOffset: 9n },
  ]);
});
