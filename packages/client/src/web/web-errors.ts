import { GmqError } from "@gmq/protocol/portable";
import { fromConnectError } from "@gmq/transport/errors";

/** An answer that ended in order, but early: a proxy between us and the broker has had enough. */
const endedEarly = /missing EndStreamResponse|protocol error: (?:promised|incomplete) /;

/** The GmqError behind a failed fetch: a browser says of a connection that it cannot have only that it failed (a page that may not call, too). */
export function fromWebError(error: unknown, signal?: AbortSignal): GmqError {
  if (signal?.aborted === true) return new GmqError("cancelled", "the call was given up", { cause: error });
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (GmqError.is(cause)) return cause;
    if (cause instanceof TypeError) {
      const message = `the broker cannot be reached, or does not let this page call (allowed origins): ${cause.message}`;
      return new GmqError("unavailable", message, { cause: error });
    }
    if (endedEarly.test(cause.message)) return new GmqError("unavailable", "the stream was cut off", { cause: error });
  }
  return fromConnectError(error, signal);
}
