import fc from "fast-check";
import { expect, it } from "vitest";
import { createLoadOrder } from "./load-order.js";

it.each(["lightest", "heaviest"] as const)("knows the %s, whatever changes", (direction) => {
  const changes = fc.array(fc.record({ at: fc.nat(9), by: fc.constantFrom(-1, 1), known: fc.boolean() }));
  fc.assert(
    fc.property(fc.array(fc.nat(5), { maxLength: 10 }), changes, (sizes, steps) => {
      const loads = sizes.map((size, rank) => ({ rank, size }));
      const order = createLoadOrder(loads, direction);
      const sign = direction === "lightest" ? 1 : -1;
      const sorted = () => [...loads].sort((one, other) => sign * (one.size - other.size) || one.rank - other.rank);
      expect(order.first()).toBe(sorted()[0]);
      for (const { at, by, known } of steps) {
        const load = loads[at];
        if (load === undefined) continue;
        load.size += by;
        order.changed(load);
        if (known) expect(order.first()).toBe(sorted()[0]);
      }
      expect(order.first()).toBe(sorted()[0]);
    }),
  );
});
