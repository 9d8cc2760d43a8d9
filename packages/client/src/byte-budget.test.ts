import { GmqError } from "@gmq/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createByteBudget } from "./byte-budget.js";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("byte budget", () => {
  it("lets a single one over the whole bound through when nothing else is held", async () => {
    const budget = createByteBudget(100);
    expect(budget.take(500)).toBe(true);
    expect(budget.take(1)).toBe(false);
    const waiting = budget.wait(1, {});
    budget.give(500);
    await waiting;
    expect(budget.usedBytes).toBe(1);
  });

  it("lets nobody overtake who waits, and the next go when one gives up", async () => {
    const budget = createByteBudget(100);
    budget.take(60);
    const abort = new AbortController();
    const large = budget.wait(90, { signal: abort.signal });
    const small = budget.wait(10, {});
    expect(budget.take(1)).toBe(false);
    abort.abort(new Error("enough"));
    await expect(large).rejects.toMatchObject({ code: "cancelled", cause: { message: "enough" } });
    await small;
    expect(budget.usedBytes).toBe(70);
  });

  it("refuses at once who has given up already, and everybody when it is closed", async () => {
    const budget = createByteBudget(10);
    budget.take(10);
    await expect(budget.wait(1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "cancelled" });
    const waiting = budget.wait(1, { timeoutMs: 60_000 });
    budget.close(new GmqError("closed", "over"));
    await expect(waiting).rejects.toMatchObject({ code: "closed" });
    await expect(budget.wait(1, { timeoutMs: 5 })).rejects.toMatchObject({
      code: "deadline_exceeded",
      field: "bufferedBytesMax",
      limit: "10 bytes",
    });
  });

  it("holds its bound, its order and its sum, whatever comes", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("want" as const), bytes: fc.integer({ min: 1, max: 150 }) }),
      fc.record({ kind: fc.constant("give" as const), pick: fc.nat() }),
      fc.record({ kind: fc.constant("abort" as const), pick: fc.nat() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const bytesMax = 100;
        const budget = createByteBudget(bytesMax);
        const held: number[] = [];
        const waiting: { readonly id: number; readonly bytes: number; readonly abort: AbortController }[] = [];
        const admitted: number[] = [];
        let nextId = 0;
        for (const next of steps) {
          if (next.kind === "want") {
            const id = nextId++;
            if (budget.take(next.bytes)) {
              held.push(next.bytes);
              admitted.push(id);
            } else {
              const item = { id, bytes: next.bytes, abort: new AbortController() };
              waiting.push(item);
              const leave = (): void => void waiting.splice(waiting.indexOf(item), 1);
              budget.wait(next.bytes, { signal: item.abort.signal }).then(() => {
                leave();
                held.push(item.bytes);
                admitted.push(id);
              }, leave);
            }
          } else if (next.kind === "give" && held.length > 0)
            budget.give(held.splice(next.pick % held.length, 1)[0] as number);
          else if (next.kind === "abort" && waiting.length > 0) waiting[next.pick % waiting.length]?.abort.abort();
          await turn();
          expect(budget.usedBytes).toBe(held.reduce((sum, bytes) => sum + bytes, 0));
          if (held.length > 1) expect(budget.usedBytes).toBeLessThanOrEqual(bytesMax);
          // Whoever is first in line does not fit: nobody waits without a reason.
          const [first] = waiting;
          if (first !== undefined) expect(budget.usedBytes > 0 && budget.usedBytes + first.bytes > bytesMax).toBe(true);
        }
        expect(admitted).toEqual(admitted.toSorted((left, right) => left - right));
      }),
      { numRuns: 200 },
    );
  });
});
