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

interface Paused {
  pause(): void;
  resume(): void;
}

/** Makes it over the stream that is paused and resumed. */
export function createSessionIntake(stream: Paused, limits: BrokerLimits): SessionIntake {
  return new RatedIntake(stream, limits);
}

/** A class, as a dispatcher is one. */
class RatedIntake implements SessionIntake {
  readonly #stream: Paused;
  readonly #limits: BrokerLimits;
  /** Frames that the rate has not made up for yet. What comes in one piece is taken whole, and waited for afterwards. */
  #owed = 0;
  #lastMs = 0;
  #bytesInFlight = 0;
  #waiting: NodeJS.Timeout | undefined;
  #isPaused = false;

  constructor(stream: Paused, limits: BrokerLimits) {
    this.#stream = stream;
    this.#limits = limits;
  }

  frame(nowMs: number): void {
    this.#makeUp(nowMs);
    this.#owed++;
    if (this.#owed <= this.#limits.framesPerSecondMax || this.#waiting !== undefined) return;
    this.#wait();
    this.#decide();
  }

  took(bytes: number): void {
    this.#bytesInFlight += bytes;
    this.#decide();
  }

  stored(bytes: number): void {
    this.#bytesInFlight -= bytes;
    this.#decide();
  }

  close(): void {
    clearTimeout(this.#waiting);
  }

  #makeUp(nowMs: number): void {
    this.#owed = Math.max(0, this.#owed - ((nowMs - this.#lastMs) * this.#limits.framesPerSecondMax) / 1_000);
    this.#lastMs = nowMs;
  }

  /** Until a second's worth is left; more may have come in the piece that went over. */
  #wait(): void {
    const { framesPerSecondMax } = this.#limits;
    const ms = ((this.#owed - framesPerSecondMax) * 1_000) / framesPerSecondMax + 1;
    this.#waiting = setTimeout(() => {
      this.#waiting = undefined;
      this.#makeUp(performance.now());
      if (this.#owed > framesPerSecondMax) this.#wait();
      this.#decide();
    }, ms);
  }

  #decide(): void {
    const wanted = this.#waiting !== undefined || this.#bytesInFlight > this.#limits.publishBytesInFlightMax;
    if (wanted === this.#isPaused) return;
    this.#isPaused = wanted;
    if (wanted) this.#stream.pause();
    else this.#stream.resume();
  }
}
