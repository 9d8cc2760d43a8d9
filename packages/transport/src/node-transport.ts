import { type ClientHttp2Stream, constants, type Http2Session } from "node:http2";
import { addAbortSignal } from "node:stream";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { GmqError, limits } from "@gmq/protocol";
import { checkUrl } from "./check-url.js";
import { streamWindowBytes, widenSession } from "./http2-windows.js";
import { type TlsClientSource, tlsSessionOptions } from "./tls-client.js";

/** Where to connect, and as whom. */
export interface NodeTransportOptions {
  /** `http://host:port` for HTTP/2 in the clear (h2c), `https://host:port` for TLS. */
  readonly url: string;
  readonly tls?: TlsClientSource;
  /** Sent as `authorization: Bearer …`; a function is asked for each call, so that a token can be renewed. */
  readonly token?: string | (() => string);
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A silent connection with open streams is asked for a sign of life this often. Default 10,000 ms. */
  readonly pingIntervalMs?: number;
  /** No answer within this time: the connection and its streams are `unavailable`. Default 5,000 ms. */
  readonly pingTimeoutMs?: number;
  /** A connection that is not there within this time fails its calls with `unavailable`. Default 5,000 ms. */
  readonly connectTimeoutMs?: number;
  /** Deadline of unary calls that name none. Default 30,000 ms. Streams have none. */
  readonly callTimeoutMs?: number;
}

/** A Connect transport and the connection beneath it. */
export interface NodeTransport {
  readonly transport: Transport;
  /** Ends the connection and every call on it, at once. Later calls fail with `closed`. Idempotent. */
  close(): void;
}

/** Makes a gRPC transport over one HTTP/2 connection, opened with the first call and again after it was lost. */
export function createNodeTransport(options: NodeTransportOptions): NodeTransport {
  const connectTimeoutMs = options.connectTimeoutMs ?? 5_000;
  const authority = checkUrl(options.url);
  const sessions = new Http2SessionManager(
    authority,
    { pingIntervalMs: options.pingIntervalMs ?? 10_000, pingTimeoutMs: options.pingTimeoutMs ?? 5_000 },
    {
      ...tlsSessionOptions(authority, options.tls),
      settings: { initialWindowSize: streamWindowBytes, enablePush: false },
    },
  );
  const widened = new WeakSet<Http2Session>();
  let closed = false;

  /** Runs `use`; while that waits for a connection it has a deadline. */
  async function connected<T>(use: () => Promise<T>): Promise<T> {
    if (closed) throw new GmqError("closed", `the transport to ${authority} is closed`);
    const timer = setTimeout(() => {
      if (sessions.state() !== "connecting") return;
      sessions.abort(new GmqError("unavailable", `no connection to ${authority}`, { limit: `${connectTimeoutMs} ms` }));
    }, connectTimeoutMs);
    try {
      return await use();
    } finally {
      clearTimeout(timer);
    }
  }

  function widen(session: Http2Session): void {
    if (widened.has(session)) return;
    widened.add(session);
    // The session manager stops listening before a session that missed its ping is gone; the error reaches every call through its stream.
    session.on("error", ignoreSessionError);
    widenSession(session);
  }

  const sessionManager = {
    authority: sessions.authority,
    async request(...request: Parameters<Http2SessionManager["request"]>) {
      const stream = await connected(() => sessions.request(...request));
      if (stream.session !== undefined) widen(stream.session);
      resetOnCancel(stream);
      return stream;
    },
    notifyResponseByteRead: (stream: Parameters<Http2SessionManager["notifyResponseByteRead"]>[0]) =>
      sessions.notifyResponseByteRead(stream),
  };
  const transport = createGrpcTransport({
    baseUrl: authority,
    sessionManager,
    interceptors: [headersOf(options)],
    // Batches compress themselves; compressing streams again costs 4 to 10 times their throughput.
    acceptCompression: [],
    readMaxBytes: limits.frameBytesMax,
    writeMaxBytes: limits.frameBytesMax,
    defaultTimeoutMs: options.callTimeoutMs ?? 30_000,
    binaryOptions: { readUnknownFields: false },
  });

  return {
    transport,
    close() {
      closed = true;
      sessions.abort();
    },
  };
}

/**
 * `close(CANCEL)`, which Connect calls, ends the request in order before it resets the stream: the server would take a cancelled call for a complete one.
 * Destroying it by an abort sends the reset alone.
 */
function resetOnCancel(stream: ClientHttp2Stream): void {
  const close = stream.close.bind(stream);
  stream.close = (code, done) => {
    if (code !== constants.NGHTTP2_CANCEL || stream.destroyed) return close(code, done);
    if (done !== undefined) stream.once("close", done);
    addAbortSignal(AbortSignal.abort(), stream);
  };
}

function ignoreSessionError(): void {}

function headersOf(options: NodeTransportOptions): Interceptor {
  return (next) => (request) => {
    for (const [name, value] of Object.entries(options.headers ?? {})) request.header.set(name, value);
    const token = typeof options.token === "function" ? options.token() : options.token;
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
