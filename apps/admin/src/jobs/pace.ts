import { setTimeout as sleep } from "node:timers/promises";
import { GmqError, limits } from "@gmq/protocol";

/** The same for every job. */
const rateMax = limits.redriveRateMax;

/** @throws GmqError `invalid_argument` when a rate is none */
export function checkRate(perSecond: number): void {
  if (perSecond < 0 || perSecond > rateMax) {
    throw new GmqError("invalid_argument", `rate_per_second is ${perSecond}`, {
      field: "rate_per_second",
      limit: `0 (no limit) to ${rateMax} records a second`,
    });
  }
}

/** Items that go together, so that a low rate is even. */
export function together(perSecond: number, most: number): number {
  return perSecond === 0 ? most : Math.min(most, Math.max(1, Math.floor(perSecond / 5)));
}

/** Waits so that no more than `perSecond` items pass in a second; 0: never waits. */
export function createPace(perSecond: number, signal: AbortSignal): (items: number) => Promise<void> {
  let freeAtMs = performance.now();
  return async (items) => {
    signal.throwIfAborted();
    if (perSecond === 0) return;
    const waitMs = freeAtMs - performance.now();
    freeAtMs = Math.max(freeAtMs, performance.now()) + (items * 1_000) / perSecond;
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
  };
}
