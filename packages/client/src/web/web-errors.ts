import { GmqError } from "@gmq/protocol/portable";
import { fromConnectError } from "@gmq/transport/errors";

/** The GmqError behind a failed fetch: a browser says of a connection that it cannot have only that it failed (a page that may not call, too). */
export function fromWebError(error: unknown, signal?: AbortSignal): GmqError {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (cause instanceof TypeError) {
      const message = `the broker cannot be reached, or does not let this page call (allowed origins): ${cause.message}`;
      return new GmqError("unavailable", message, { cause: error });
    }
  }
  return fromConnectError(error, signal);
}
