import type { HandlerContext } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import type { FrameStreamAcceptor, PeerContext } from "../frame-stream.js";
import { fromConnectError, toConnectError } from "../translate-error.js";
import { createDuplexFrames } from "./duplex-frames.js";
import { type PeerConnection, peerConnectionKey } from "./peer-connection.js";

/** How frames of a stream are counted. */
export interface FrameHandlerOptions<Outgoing> {
  /** About how many bytes a frame holds: the sum of its payloads will do. Runs once a frame that has to wait. */
  readonly frameBytes: (frame: Outgoing) => number;
}

/** A bidi method as Connect's router takes it: `router.service(BrokerService, { session: connectFrameHandler(…) })`. */
export type ConnectFrameHandler<Incoming, Outgoing> = (
  requests: AsyncIterable<Incoming>,
  context: HandlerContext,
) => AsyncIterable<Outgoing>;

/**
 * Serves a bidi method as FrameStreams, over gRPC, gRPC-web and Connect alike.
 * Connect sends response headers with the first frame only, so the protocol on top has the client speak first and answers at once (hello, welcome).
 * A peer past `limits.sendBufferBytesFatal`, or one that does not take the last frames within `limits.closeTimeoutMs`, has its stream reset.
 */
export function connectFrameHandler<Incoming, Outgoing>(
  accept: FrameStreamAcceptor<Incoming, Outgoing>,
  options: FrameHandlerOptions<Outgoing>,
): ConnectFrameHandler<Incoming, Outgoing> {
  return (requests, context) => {
    const connection = context.values.get(peerConnectionKey);
    const duplex = createDuplexFrames<Incoming, Outgoing>(options.frameBytes, {
      closing: (error) => (error === undefined ? undefined : toConnectError(error)),
      cut: () => connection.reset(),
    });

    // The signal, not only the iterator's end: a generator that waits for its next frame hears of a lost peer in no other way.
    const over = (): void => {
      const error = fromConnectError(context.signal.reason);
      const stillThere = error.code === "deadline_exceeded" || error.code === "unavailable";
      if (stillThere && !duplex.stream.closed) duplex.stream.close(error);
      else duplex.ended(new GmqError("cancelled", "the peer went away", { cause: context.signal.reason }));
    };
    if (context.signal.aborted) over();
    else context.signal.addEventListener("abort", over, { once: true });

    accept(duplex.stream, peerOf(context, connection));
    duplex.receive(requests).then(duplex.halfEnded, (cause: unknown) => {
      const error = fromConnectError(cause);
      if (error.code === "unavailable" || context.signal.aborted) {
        duplex.ended(new GmqError("cancelled", "the peer went away", { cause }));
      } else duplex.stream.close(error);
    });
    return duplex.outgoing;
  };
}

function peerOf(context: HandlerContext, { address, caller }: PeerConnection): PeerContext {
  return { address, caller, header: (name) => context.requestHeader.get(name) ?? undefined };
}
