/** The store's clock: milliseconds since the epoch that never step back while the process lives, whatever the wall clock does. */
export interface Clock {
  nowMs(): number;
}

/** The process' monotonic clock, started at the wall clock's time. */
export const monotonicClock: Clock = {
  nowMs: () => Math.floor(performance.timeOrigin + performance.now()),
};
