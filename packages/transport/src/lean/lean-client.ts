/** Opens one bidi gRPC call straight on a node:http2 session: the client's end of lean-server.ts; any gRPC server understands it. */
import type { ClientHttp2Session } from "node:http2";
import { GmqError, limits } from "@gmq/protocol";
import type { FrameStream } from "../frame-stream.js";
import { createDuplexFrames, type FrameCodec } from "./duplex-frames.js";
import { openLeanRequest } from "./request.js";

/** How a call is opened. */
export interface LeanCallOptions<Incoming, Outgoing> {
  readonly path: string;
  readonly codec: FrameCodec<Incoming, Outgoing>;
  /** More request headers, lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Cancels the call: the server sees a reset stream. */
  readonly signal?: AbortSignal | undefined;
}

/** Opens the call at once; failures arrive at the handlers' `end`. */
export function openLeanStream<Incoming, Outgoing>(
  session: ClientHttp2Session,
  options: LeanCallOptions<Incoming, Outgoing>,
): FrameStream<Incoming, Outgoing> {
  let closing: NodeJS.Timeout | undefined;
  const { stream, reset } = openLeanRequest(session, options.path, options.headers, (error) => {
    clearTimeout(closing);
    options.signal?.removeEventListener("abort", cancel);
    duplex.ended(error);
  });
  const duplex = createDuplexFrames(stream, options.codec, {
    finish(_stream, error) {
      if (error !== undefined) return reset();
      closing = setTimeout(reset, limits.closeTimeoutMs);
      stream.end();
    },
    cut: () => reset(),
  });
  const cancel = (): void =>
    duplex.close(new GmqError("cancelled", "the caller gave up", { cause: options.signal?.reason }));

  if (options.signal?.aborted === true) cancel();
  else options.signal?.addEventListener("abort", cancel, { once: true });
  return duplex;
}
