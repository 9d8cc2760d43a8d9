import { GmqError } from "@gmq/protocol/portable";
import { checkTimeout } from "./checked-values.js";

/** Every awaitable takes these. */
export interface CallOptions {
  /** Gives up: the promise rejects with `cancelled`. What was sent may still take effect. */
  readonly signal?: AbortSignal;
  /** Gives up after so many milliseconds with `deadline_exceeded`. */
  readonly timeoutMs?: number;
}

/**
 * Waits for `promise`, no longer than the options allow. The work behind it goes on.
 * @throws GmqError `cancelled`, `deadline_exceeded`, and what the promise rejects with
 */
export async function bounded<Result>(
  promise: Promise<Result>,
  { signal, timeoutMs }: CallOptions,
  what: string,
): Promise<Result> {
  if (signal === undefined && timeoutMs === undefined) return promise;
  // The loser of the race is nobody's business any more.
  promise.catch(ignore);
  checkTimeout(timeoutMs);
  let stop: (() => void) | undefined;
  const limit = new Promise<never>((_, reject) => {
    const abort = (): void => reject(new GmqError("cancelled", `${what} was given up`, { cause: signal?.reason }));
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(
            () =>
              reject(
                new GmqError("deadline_exceeded", `${what} took longer than ${timeoutMs} ms`, {
                  limit: `${timeoutMs} ms`,
                }),
              ),
            timeoutMs,
          );
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted === true) abort();
    stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
  });
  return Promise.race([promise, limit]).finally(() => stop?.());
}

function ignore(): void {
  // told to the caller by the race, or too late to be told
}
