/**
 * One port for everything: HTTP/1.1 and HTTP/2, in the clear or under TLS, gRPC, gRPC-web, Connect, plain JSON and plain pages.
 * Without TLS the first bytes tell HTTP/2 from HTTP/1.1 (h2c with prior knowledge, as gRPC speaks it); under TLS ALPN does.
 */
import { createServer as createHttp1, type Server as Http1Server } from "node:http";
import {
  constants,
  createServer as createHttp2,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import { anybody, type LeanHandler, refuseLeanStream, streamWindowBytes, widenSession } from "@gmq/transport";
import { type Authenticate, admit, type CallHeaders, certificateName } from "./admit.js";
import { createConnectRequests, type NodeRequest, type NodeResponse, type Routes } from "./connect-requests.js";
import { createConnectionAdmission, type RefusedConnections, turnAway } from "./connection-admission.js";
import { createCorsPolicy, isPreflight } from "./cors.js";
import { listeningError } from "./listening-error.js";
import type { PlainHttp } from "./plain-http.js";
import { sniffHttp2 } from "./sniff-http2.js";
import type { ServerTls, TlsMaterial } from "./tls/server-tls.js";

/** Bounds of a port. */
export interface ListenLimits {
  /** Connections at once; more are refused. Default 20,000. */
  readonly connectionsMax?: number;
  /** New connections of one address in a second; more are told to come later. Default 5,000. */
  readonly connectionsPerSecondAndAddressMax?: number;
  /** Streams that one HTTP/2 connection may have open. Default 1,000; a client uses few. */
  readonly streamsPerConnectionMax?: number;
  /** Frame streams (sessions, links) that one HTTP/2 connection may have open; more are refused. Default 64. */
  readonly sessionsPerConnectionMax?: number;
  /** Bytes of a request's headers. Default 16 KiB. */
  readonly headerBytesMax?: number;
  /** A new connection has this long to show which protocol it speaks, under TLS to finish its handshake. Default 10,000 ms. */
  readonly firstBytesTimeoutMs?: number;
}

/** What to serve, and where. */
export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly routes: Routes;
  /** Methods that are served straight on HTTP/2 where a client speaks plain gRPC; `routes` serves them to all others. */
  readonly frameHandlers?: readonly LeanHandler[];
  /** Asked for every request that is no RPC. */
  readonly plainHttp?: PlainHttp;
  /** Origins whose pages may call; default none. */
  readonly allowedOrigins?: readonly string[];
  /** Certificates of the port; new ones are taken over for new connections. Its owner closes it. Absent: in the clear. */
  readonly tls?: ServerTls | undefined;
  /** Finds out who calls; absent: everybody may. grpc.health.v1 and plain pages are never asked. */
  readonly authenticate?: Authenticate | undefined;
  readonly limits?: ListenLimits;
  readonly logger: Logger;
}

/** An open port. */
export interface Listener {
  /** Where this machine reaches it, for example `http://localhost:50051`. */
  readonly url: string;
  readonly port: number;
  /** What it has turned away so far. */
  readonly refused: RefusedConnections;
  /**
   * Accepts nothing new at once, tells HTTP/2 peers to go elsewhere, waits for calls to end up to `drainMs`, aborts those that remain with
   * `unavailable` and breaks what is left. Nothing of it is alive when it resolves. Idempotent.
   */
  close(options: { readonly drainMs: number }): Promise<void>;
}

/** What aborted calls get to say goodbye. */
const farewellMs = 250;
const keepAliveMs = 30_000;
const headerBytesMaxDefault = 16 * 1024;
const firstBytesTimeoutMsDefault = 10_000;

/**
 * Opens a port.
 * @throws GmqError `unavailable` when it is in use, `permission_denied` or `invalid_argument` when it cannot be had, naming host and port
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { logger, limits = {} } = options;
  const shutdown = new AbortController();
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const answer = createAnswer(options, shutdown.signal);
  // One function for all: it stays with each connection while that is open.
  function forgetSocket(this: Socket): void {
    sockets.delete(this);
  }
  function forgetSession(this: ServerHttp2Session): void {
    sessions.delete(this);
  }

  const http2 = createHttp2Server(limits, answer);
  takeFrameStreams(http2, options);
  http2.on("session", (session) => {
    widenSession(session);
    sessions.add(session);
    session.on("close", forgetSession);
    // A session that came in while the port closed.
    if (!front.listening) session.close();
  });
  http2.on("sessionError", (error: Error) => logger.debug("HTTP/2 connection broke", { error }));

  const front = createFront(options, answer);
  front.maxConnections = limits.connectionsMax ?? 20_000;
  const admission = createConnectionAdmission(front, limits.connectionsPerSecondAndAddressMax ?? 5_000, logger);
  const turnedAway = new WeakSet<Socket>();
  const connected = options.tls === undefined ? "connection" : "secureConnection";
  const [serveHttp1] = front.listeners(connected) as [(this: Http1Server, socket: Socket) => void];
  front.removeAllListeners(connected);
  // Under TLS also those that have not finished their handshake. First of all: a handshake is what a flood of connections costs.
  front.prependListener("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", forgetSocket);
    if (admission.takes(socket)) return;
    if (options.tls === undefined) turnedAway.add(socket);
    else socket.destroy();
  });
  front.on(connected, (socket: Socket | TLSSocket) => {
    const serve = (isHttp2: boolean): void => {
      // HTTP/1.1 lets a client end its side and wait for the answer. Of HTTP/2 nothing is left then: without this a client that died is not noticed.
      if (isHttp2) socket.allowHalfOpen = false;
      if (isHttp2) http2.emit("connection", socket);
      else serveHttp1.call(front, socket);
    };
    if (turnedAway.has(socket)) turnAway(socket);
    else if ("alpnProtocol" in socket) serve(socket.alpnProtocol === "h2");
    else sniffHttp2(socket, limits.firstBytesTimeoutMs ?? firstBytesTimeoutMsDefault, serve);
  });
  // While the port closes, a connection kept alive for another request would hold it.
  front.on("request", (_request, response) => {
    response.once("finish", () => setImmediate(() => front.listening || front.closeIdleConnections()));
  });
  front.on("tlsClientError", (error: Error) => logger.debug("a TLS handshake failed", { error }));
  await startListening(front, options);

  let closing: Promise<void> | undefined;
  async function close(drainMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => front.close(() => resolve()));
    for (const session of sessions) session.close();
    if (await endsWithin(closed, drainMs)) return;
    shutdown.abort(new ConnectError("the server is going away", Code.Unavailable));
    if (await endsWithin(closed, farewellMs)) return;
    logger.warn("connections had to be broken", { connections: sockets.size });
    for (const session of sessions) session.destroy();
    for (const socket of sockets) socket.destroy();
    await closed;
  }

  const { port } = front.address() as AddressInfo;
  return {
    url: urlOf(options, port),
    port,
    refused: admission.refused,
    close: ({ drainMs }) => {
      closing ??= close(drainMs);
      return closing;
    },
  };
}

type Answer = (request: NodeRequest, response: NodeResponse) => void;

/** RPC, then plain pages, then 404. */
function createAnswer(options: ListenOptions, shutdown: AbortSignal): Answer {
  const connectRequests = createConnectRequests(options.routes, options.logger, shutdown, options.authenticate);
  const corsHeaders = createCorsPolicy(options.allowedOrigins ?? []);
  return (request, response) => {
    const cors = corsHeaders(request);
    for (const [name, value] of Object.entries(cors ?? {})) response.setHeader(name, value);
    if (cors !== undefined && isPreflight(request.method, request.headers)) {
      response.statusCode = 204;
      response.end();
      return;
    }
    if (connectRequests(request, response)) return;
    if (options.plainHttp?.(request, response) === true) return;
    response.statusCode = 404;
    response.setHeader("content-type", "text/plain; charset=utf-8");
    response.end("not found\n");
  };
}

function createHttp2Server(limits: ListenLimits, answer: Answer): Http2Server {
  const settings = {
    initialWindowSize: streamWindowBytes,
    maxConcurrentStreams: limits.streamsPerConnectionMax ?? 1_000,
    maxHeaderListSize: limits.headerBytesMax ?? headerBytesMaxDefault,
  };
  // Node counts unsent bytes, in MB, and refuses new streams over it; frame streams have their own, larger bound.
  return createHttp2({ settings, maxSessionMemory: 256 }, answer);
}

type StreamListener = (
  this: Http2Server,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  ...rest: unknown[]
) => void;

/** Lets the handlers look at each stream before Node makes a request of it: a frame stream needs neither request nor response objects. */
function takeFrameStreams(
  http2: Http2Server,
  { frameHandlers = [], authenticate = () => anybody, limits }: ListenOptions,
): void {
  const byPath = new Map<string | undefined, LeanHandler>(frameHandlers.map((handler) => [handler.path, handler]));
  const admitSession = countSessions(limits?.sessionsPerConnectionMax ?? 64);
  const asRequest = http2.listeners("stream") as StreamListener[];
  http2.removeAllListeners("stream");
  const headerBytesMax = limits?.headerBytesMax ?? headerBytesMaxDefault;
  http2.on("stream", (stream, headers, ...rest: unknown[]) => {
    // Node only tells peers of this bound.
    if (headerBytes(rest[1]) > headerBytesMax) {
      stream.on("error", () => stream.destroy());
      stream.respond({ ":status": 431 }, { endStream: true });
      stream.close(constants.NGHTTP2_NO_ERROR);
      return;
    }
    const handler = byPath.get(headers[":path"]);
    if (handler !== undefined && !handler.isCall && !admitSession(stream)) return;
    if (handler?.takes(headers) !== true) {
      for (const listener of asRequest) listener.call(http2, stream, headers, ...rest);
      return;
    }
    admit(
      authenticate,
      callOf(stream, headers),
      (caller) => stream.destroyed || handler.serve(stream, headers, caller),
      (error) => refuseLeanStream(stream, error),
    );
  });
}

/** Bytes of a list of names and values. */
function headerBytes(rawHeaders: unknown): number {
  let bytes = 0;
  if (Array.isArray(rawHeaders)) for (const text of rawHeaders) bytes += String(text).length;
  return bytes;
}

/** Counts the frame streams of each connection, whatever protocol they speak; one too many is refused, and false. */
function countSessions(sessionsMax: number): (stream: ServerHttp2Stream) => boolean {
  const open = new WeakMap<object, number>();
  return (stream) => {
    const { session } = stream;
    if (session === undefined) return true;
    const count = (open.get(session) ?? 0) + 1;
    if (count > sessionsMax) {
      refuseLeanStream(
        stream,
        new GmqError("resource_exhausted", "the connection has too many sessions", {
          field: "sessions per connection",
          limit: `${sessionsMax} sessions`,
        }),
      );
      return false;
    }
    open.set(session, count);
    stream.on("close", () => open.set(session, (open.get(session) ?? 1) - 1));
    return true;
  };
}

function callOf({ session }: ServerHttp2Stream, headers: IncomingHttpHeaders): CallHeaders {
  const socket = session?.socket;
  return {
    path: String(headers[":path"]),
    method: String(headers[":method"]),
    headers,
    certificateName: socket === undefined ? undefined : certificateName(socket),
    address: socket?.remoteAddress ?? "",
  };
}

function createFront(options: ListenOptions, answer: Answer): Http1Server {
  const settings = {
    maxHeaderSize: options.limits?.headerBytesMax ?? headerBytesMaxDefault,
    noDelay: true,
    // Finds peers that vanished without a word.
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
  };
  const { tls, limits } = options;
  if (tls === undefined) return createHttp1(settings, answer);
  const front = createHttps(
    {
      ...settings,
      ...secureContext(tls.material),
      requestCert: tls.material.ca !== undefined,
      rejectUnauthorized: tls.requireClientCert,
      handshakeTimeout: limits?.firstBytesTimeoutMs ?? firstBytesTimeoutMsDefault,
      ALPNProtocols: ["h2", "http/1.1"],
    },
    answer,
  );
  tls.watch((material) => front.setSecureContext(secureContext(material)));
  return front;
}

/** Both for the start and for later: what is not said again would be forgotten. */
function secureContext({ cert, key, ca }: TlsMaterial) {
  return { cert, key, minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) } as const;
}

function startListening(front: Http1Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(listeningError(error, options.host, options.port));
    front.once("error", failed);
    front.listen(options.port, options.host, () => {
      front.off("error", failed);
      front.on("error", (error) => options.logger.error("the port failed", { error }));
      resolve();
    });
  });
}

async function endsWithin(ended: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const inTime = await Promise.race([ended.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

function urlOf(options: ListenOptions, port: number): string {
  const everywhere = options.host === "" || options.host === "0.0.0.0" || options.host === "::";
  const host = everywhere ? "localhost" : options.host.includes(":") ? `[${options.host}]` : options.host;
  return `${options.tls === undefined ? "http" : "https"}://${host}:${port}`;
}
