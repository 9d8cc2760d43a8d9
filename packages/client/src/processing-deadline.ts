import { GmqError } from "@gmq/protocol";
import { inRange } from "./checked-values.js";

/** How long one attempt at a record may take. */
export interface ProcessingDeadline {
  /** Fires when it passes. */
  readonly signal: AbortSignal;
  /** Rejects with `deadline_exceeded` when it passes; never resolves. */
  readonly passed: Promise<never>;
  /** Moves it to so many milliseconds from now. @throws GmqError `deadline_exceeded`, `invalid_argument` */
  extend(ms?: number): void;
  /** It does not matter any more. */
  stop(): void;
}

/** Longest deadline: what a timer can hold. */
export const processingTimeoutMsMax = 2_147_483_647;

/** Starts the clock of an attempt. */
export function startDeadline(timeoutMs: number): ProcessingDeadline {
  const passing = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(toldByRace);
  let timer = setTimeout(due, timeoutMs, timeoutMs);
  let lastTurn: NodeJS.Immediate | undefined;

  /** A process that stood still comes back with everything due at once: what its handler waited for goes before the deadline. */
  function due(afterMs: number): void {
    lastTurn = setImmediate(pass, afterMs);
  }

  function stop(): void {
    clearTimeout(timer);
    clearImmediate(lastTurn);
  }

  function pass(afterMs: number): void {
    const error = new GmqError("deadline_exceeded", `the handler took longer than ${afterMs} ms`, {
      field: "processingTimeoutMs",
      limit: `${afterMs} ms`,
    });
    passing.abort(error);
    reject(error);
  }

  return {
    signal: passing.signal,
    passed: promise,
    extend(ms = timeoutMs) {
      passing.signal.throwIfAborted();
      inRange("ms", ms, 1, processingTimeoutMsMax);
      stop();
      timer = setTimeout(due, ms, ms);
    },
    stop,
  };
}

/** `message.extend` where there is no deadline to move. */
export function checkExtension(ms = 1): void {
  inRange("ms", ms, 1, processingTimeoutMsMax);
}

function toldByRace(): void {
  // whoever runs the handler races it against this promise
}
