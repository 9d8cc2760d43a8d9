import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createHealth } from "./health.js";
import { watchReadiness } from "./watch-readiness.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("looks again soon while something is missing, tells what, and once a second when it is well", async () => {
  const health = createHealth();
  health.report("start", undefined);
  let asked = 0;
  const stop = await watchReadiness(health, "store", async () => {
    asked++;
    if (asked === 1) return "not connected yet";
    if (asked === 2) throw new Error("asked in vain");
    return undefined;
  });
  expect(health.problems.get("store")).toBe("not connected yet");
  await vi.advanceTimersByTimeAsync(50);
  expect([asked, health.problems.get("store")]).toEqual([2, "asked in vain"]);
  await vi.advanceTimersByTimeAsync(100);
  expect([asked, health.ready]).toEqual([3, true]);
  await vi.advanceTimersByTimeAsync(999);
  expect(asked).toBe(3);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toBe(4);
  stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toBe(4);
});

it("never looks less often than once a second", async () => {
  let asked = 0;
  const stop = await watchReadiness(createHealth(), "store", async () => {
    asked++;
    return "gone";
  });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBeGreaterThanOrEqual(60);
  stop();
});
