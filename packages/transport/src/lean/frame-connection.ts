import type { DescMessage, DescMethodBiDiStreaming, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { FrameStream } from "../frame-stream.js";
import type { NodeTransportOptions } from "../node-transport.js";
import { type DecoderOf, frameCodec, pathOfMethod, protobufDecoderOf } from "./frame-method.js";
import { openLeanStream } from "./lean-client.js";
import { createLeanSession } from "./lean-session.js";

/** An HTTP/2 connection of its own for frame streams, opened with the first one and again after it was lost. */
export interface FrameConnection {
  /**
   * Opens a bidi call at once; every failure arrives at the handlers' `end`. Nothing here has a deadline: whoever speaks the protocol on top knows when its
   * peer is silent for too long, and closes.
   * @throws GmqError `closed`
   */
  open<Request extends DescMessage, Response extends DescMessage>(
    method: DescMethodBiDiStreaming<Request, Response>,
    options?: { readonly signal?: AbortSignal },
  ): FrameStream<MessageShape<Response>, MessageInitShape<Request>>;
  /** Gives the connection up, with every stream on it: it is silent, and nobody knows whether it still reaches anyone. The next stream gets a new one. */
  drop(): void;
  /** Ends the connection and every stream on it, at once. Idempotent. */
  close(): void;
}

/** Makes the connection; `decoderOf` decodes its frames, by default protobuf-es does. @throws GmqError `invalid_argument` (url) */
export function createFrameConnection(
  options: NodeTransportOptions,
  decoderOf: DecoderOf = protobufDecoderOf,
): FrameConnection {
  const session = createLeanSession(options);
  return {
    open: (method, { signal } = {}) =>
      openLeanStream(session.open(), {
        path: pathOfMethod(method),
        codec: frameCodec(method.output, method.input, decoderOf),
        headers: session.headers(),
        signal,
      }),
    drop: session.drop,
    close: session.close,
  };
}
