import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { watchSilence } from "./silence-watch.js";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it("tells once that nothing was heard", () => {
  const silent = vi.fn();
  watchSilence(35_000, silent);
  vi.advanceTimersByTime(35_999);
  expect(silent).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000_000);
  expect(silent).toHaveBeenCalledTimes(1);
});

it("is content as long as something is heard", () => {
  const silent = vi.fn();
  const watch = watchSilence(35_000, silent);
  for (let round = 0; round < 20; round++) {
    vi.advanceTimersByTime(30_000);
    watch.heard();
  }
  expect(silent).not.toHaveBeenCalled();
  watch.stop();
  vi.advanceTimersByTime(1_000_000);
  expect(silent).not.toHaveBeenCalled();
});

it("reads what came while the page stood still", () => {
  const silent = vi.fn();
  const watch = watchSilence(35_000, silent);
  // Timers that are due come before what lies in the socket.
  vi.advanceTimersByTime(35_000);
  watch.heard();
  vi.advanceTimersByTime(35_000);
  expect(silent).not.toHaveBeenCalled();
  watch.stop();
});
