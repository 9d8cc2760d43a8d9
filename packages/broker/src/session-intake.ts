/**
 * How fast a session is read: no more frames a second and no more unstored bytes than the broker's limits say. Past either the stream is read no further, and
 * flow control slows the client down; nothing is lost and nothing is refused.
 */
import type { BrokerLimits } from "./broker-limits.js";

export interface SessionIntake {
  /** A frame came. */
  frame(nowMs: number): void;
  /** So many bytes are on their way to the store, and have got there. */
  took(bytes: number): void;
  stored(bytes: number): void;
  /** Lets go of its timer. */
  close(): void;
}

/** Makes it over the stream that is paused and resumed. */
export function createSessionIntake(
  stream: { pause(): void; resume(): void },
  { framesPerSecondMax, publishBytesInFlightMax }: BrokerLimits,
): SessionIntake {
  /** Frames that the rate has not made up for yet. What comes in one piece is taken whole, and waited for afterwards. */
  let owed = 0;
  let lastMs = 0;
  let bytesInFlight = 0;
  let waiting: NodeJS.Timeout | undefined;
  let isPaused = false;

  function decide(): void {
    const wanted = waiting !== undefined || bytesInFlight > publishBytesInFlightMax;
    if (wanted === isPaused) return;
    isPaused = wanted;
    if (wanted) stream.pause();
    else stream.resume();
  }

  /** Until a second's worth is left. */
  function waitMs(): number {
    return ((owed - framesPerSecondMax) * 1_000) / framesPerSecondMax + 1;
  }

  /** More may have come in the piece that went over. */
  function over(): void {
    const nowMs = performance.now();
    owed = Math.max(0, owed - ((nowMs - lastMs) * framesPerSecondMax) / 1_000);
    lastMs = nowMs;
    waiting = owed > framesPerSecondMax ? setTimeout(over, waitMs()) : undefined;
    decide();
  }

  return {
    frame(nowMs) {
      owed = Math.max(0, owed - ((nowMs - lastMs) * framesPerSecondMax) / 1_000) + 1;
      lastMs = nowMs;
      if (owed <= framesPerSecondMax || waiting !== undefined) return;
      waiting = setTimeout(over, waitMs());
      decide();
    },
    took(bytes) {
      bytesInFlight += bytes;
      decide();
    },
    stored(bytes) {
      bytesInFlight -= bytes;
      decide();
    },
    close: () => clearTimeout(waiting),
  };
}
