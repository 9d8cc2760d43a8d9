import fc from "fast-check";
import { expect, it } from "vitest";
import { createByteBudget } from "./byte-budget.js";

it("slows from the low watermark on, is full at the bound and opens below the low watermark again", () => {
  const budget = createByteBudget(1_000);
  expect([budget.state, budget.throttleMs]).toEqual(["open", 0]);
  expect(budget.take(950)).toBe(true);
  budget.done(950, true);
  expect([budget.state, budget.throttleMs]).toEqual(["slowed", 125]);
  expect(budget.take(100)).toBe(true);
  budget.done(100, true);
  expect([budget.state, budget.throttleMs, budget.take(1)]).toEqual(["full", 250, false]);
  budget.measured(950);
  expect(budget.take(1)).toBe(false);
  budget.measured(900);
  expect([budget.state, budget.throttleMs, budget.take(1)]).toEqual(["open", 0, true]);
});

it("stays shut when the store itself refused, until there is room", () => {
  const budget = createByteBudget(1_000);
  budget.measured(950);
  budget.shut();
  expect([budget.state, budget.take(1)]).toEqual(["full", false]);
  budget.measured(920);
  expect(budget.state).toBe("full");
  budget.measured(500);
  expect(budget.state).toBe("open");
});

it("gives back what was not stored, and lets a batch of any size into an empty budget", () => {
  const budget = createByteBudget(1_000);
  expect(budget.take(5_000)).toBe(true);
  expect(budget.take(1)).toBe(false);
  budget.done(5_000, false);
  expect(budget.bytes).toBe(0);
  budget.measured(0);
  expect(budget.state).toBe("open");
});

it("never lets more in than the bound and the one batch that fills it", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("take" as const), bytes: fc.integer({ min: 1, max: 300 }) }),
    fc.record({ kind: fc.constant("drain" as const), bytes: fc.integer({ min: 1, max: 1_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const budget = createByteBudget(1_000);
      let held = 0;
      for (const { kind, bytes } of steps) {
        if (kind === "drain") {
          held = Math.max(0, held - bytes);
          budget.measured(held);
          expect(budget.state === "full" && held <= 900).toBe(false);
        } else if (budget.take(bytes)) {
          expect(held).toBeLessThan(1_000);
          held += bytes;
          budget.done(bytes, true);
        }
        expect(budget.bytes).toBe(held);
        expect(budget.throttleMs).toBeLessThanOrEqual(250);
      }
    }),
  );
});
