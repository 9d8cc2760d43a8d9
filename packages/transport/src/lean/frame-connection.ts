import { type ClientHttp2Session, connect } from "node:http2";
import type { DescMessage, DescMethodBiDiStreaming, MessageShape } from "@bufbuild/protobuf";
import { GmqError } from "@gmq/protocol";
import { checkUrl } from "../check-url.js";
import type { FrameStream } from "../frame-stream.js";
import { streamWindowBytes, widenSession } from "../http2-windows.js";
import type { NodeTransportOptions } from "../node-transport.js";
import { tlsSessionOptions } from "../tls-client.js";
import { frameCodec, pathOfMethod } from "./frame-method.js";
import { openLeanStream } from "./lean-client.js";

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
  ): FrameStream<MessageShape<Response>, MessageShape<Request>>;
  /** Gives the connection up, with every stream on it: it is silent, and nobody knows whether it still reaches anyone. The next stream gets a new one. */
  drop(): void;
  /** Ends the connection and every stream on it, at once. Idempotent. */
  close(): void;
}

/** Makes the connection. @throws GmqError `invalid_argument` (url) */
export function createFrameConnection(options: NodeTransportOptions): FrameConnection {
  const authority = checkUrl(options.url);
  const tls = tlsSessionOptions(authority, options.tls);
  let session: ClientHttp2Session | undefined;
  let closed = false;

  function openSession(): ClientHttp2Session {
    const settings = { initialWindowSize: streamWindowBytes, enablePush: false };
    const opened = connect(authority, { ...tls, settings, maxSessionMemory: 256 });
    opened.once("connect", () => {
      widenSession(opened);
      if (!opened.destroyed && "setNoDelay" in opened.socket) opened.socket.setNoDelay(true);
    });
    // What broke the connection reaches every stream as its own error.
    opened.on("error", () => opened.destroy());
    opened.once("close", () => {
      if (session === opened) session = undefined;
    });
    opened.once("goaway", () => {
      // Its streams live on; new ones get a new connection.
      if (session === opened) session = undefined;
    });
    return opened;
  }

  function headers(): Record<string, string> {
    const token = typeof options.token === "function" ? options.token() : options.token;
    return { ...options.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  }

  return {
    open(method, { signal } = {}) {
      if (closed) throw new GmqError("closed", `the connection to ${authority} is closed`);
      if (session === undefined || session.destroyed || session.closed) session = openSession();
      return openLeanStream(session, {
        path: pathOfMethod(method),
        codec: frameCodec(method.output, method.input),
        headers: headers(),
        signal,
      });
    },
    drop() {
      session?.destroy();
      session = undefined;
    },
    close() {
      closed = true;
      session?.destroy();
    },
  };
}
