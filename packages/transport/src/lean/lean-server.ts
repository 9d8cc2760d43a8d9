/**
 * Serves one gRPC method straight on node:http2. Same wire as Connect's gRPC, a tenth of the work per frame: no async iterables, no promise per frame.
 * Called by the listener for each new HTTP/2 stream; what it does not take goes on to Connect.
 */
import { constants, type Http2Stream, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { GmqError, limits } from "@gmq/protocol";
import type { Caller } from "../caller.js";
import type { FrameStreamAcceptor, PeerContext } from "../frame-stream.js";
import { requestIdHeader, requestIdOf } from "../request-id.js";
import { type CallEnd, createDuplexFrames, type DuplexFrames, type FrameCodec } from "./duplex-frames.js";
import { statusTrailers } from "./status.js";

/** A method that is served lean. */
export interface LeanMethod<Incoming, Outgoing> {
  /** `/gmq.v1.BrokerService/Session` */
  readonly path: string;
  readonly codec: FrameCodec<Incoming, Outgoing>;
  readonly accept: FrameStreamAcceptor<Incoming, Outgoing>;
  /** One request, one answer, with an id of the request. */
  readonly isCall?: boolean;
}

/** Takes streams of its method. */
export interface LeanHandler {
  /** Path of its method. */
  readonly path: string;
  /** It answers a request and is done: it does not count as a session of its connection. */
  readonly isCall: boolean;
  /** True: a stream with these headers is its. False: it is another method, protocol or message encoding. */
  takes(headers: IncomingHttpHeaders): boolean;
  /** Serves a stream whose headers it takes, for this caller. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller): void;
}

/** Ends a stream with an error before anything of it was read. */
export function refuseLeanStream(stream: ServerHttp2Stream, error: GmqError): void {
  if (stream.destroyed || stream.closed) return;
  const headers = { ":status": 200, "content-type": "application/grpc+proto", ...statusTrailers(error) };
  stream.on("error", () => stream.destroy());
  stream.respond(headers, { endStream: true });
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** Makes a handler for one method: gRPC with identity encoding; gRPC-web, Connect and compressed streams are left to Connect. */
export function createLeanHandler<Incoming, Outgoing>(method: LeanMethod<Incoming, Outgoing>): LeanHandler {
  return {
    path: method.path,
    isCall: method.isCall === true,
    takes: (headers) => headers[":path"] === method.path && headers[":method"] === "POST" && speaksPlainGrpc(headers),
    serve: (stream, headers, caller) => serve(stream, headers, caller, method),
  };
}

function speaksPlainGrpc(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"];
  const encoding = headers["grpc-encoding"];
  return (
    (type === "application/grpc" || type === "application/grpc+proto") &&
    (encoding === undefined || encoding === "identity")
  );
}

function serve<Incoming, Outgoing>(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  caller: Caller,
  method: LeanMethod<Incoming, Outgoing>,
): void {
  const call = new ServedCall(stream, headers, method.codec);
  const answer = { ":status": 200, "content-type": "application/grpc+proto", "grpc-accept-encoding": "identity" };
  if (method.isCall === true) {
    const requestId = requestIdOf(headers);
    headers[requestIdHeader] = requestId;
    stream.respond({ ...answer, [requestIdHeader]: requestId }, { waitForTrailers: true });
  } else stream.respond(answer, { waitForTrailers: true });
  method.accept(call.frames, new LeanPeer(stream, headers, caller));
}

/** A class, as frames are one: what its listeners share. */
class ServedCall<Incoming, Outgoing> implements CallEnd {
  readonly frames: DuplexFrames<Incoming, Outgoing>;
  readonly #deadline: NodeJS.Timeout | undefined;
  /** From the close on: until all is sent, then until the client has closed too. */
  #closing: NodeJS.Timeout | undefined;
  #outcome: GmqError | undefined;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, codec: FrameCodec<Incoming, Outgoing>) {
    this.frames = createDuplexFrames(stream, codec, this);
    this.#deadline = startDeadline(headers["grpc-timeout"], () => {
      this.frames.close(new GmqError("deadline_exceeded", "the call's deadline passed", { field: "grpc-timeout" }));
    });
    stream.on("wantTrailers", () => {
      stream.sendTrailers(statusTrailers(this.#outcome));
      // A client that keeps its side open after the status would hold the stream.
      clearTimeout(this.#closing);
      this.#closing = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), lingerMs);
    });
    stream.on("end", () => {
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR) this.frames.halfEnded();
    });
    stream.on("error", (cause) => this.frames.ended(new GmqError("unavailable", "the stream broke", { cause })));
    stream.on("close", () => {
      clearTimeout(this.#deadline);
      clearTimeout(this.#closing);
      this.frames.ended(
        stream.rstCode === constants.NGHTTP2_NO_ERROR
          ? undefined
          : new GmqError("cancelled", `the peer reset the stream (code ${stream.rstCode})`),
      );
    });
  }

  finish(stream: Http2Stream, error: GmqError | undefined): void {
    this.#outcome = error;
    this.#closing = setTimeout(() => this.cut(stream), limits.closeTimeoutMs);
    stream.end();
  }

  /** gRPC takes the code for RESOURCE_EXHAUSTED. Without the `destroy` the stream would be held until its reset is sent, which a connection that takes nothing never does. */
  cut(stream: Http2Stream): void {
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    stream.destroy();
  }
}

class LeanPeer implements PeerContext {
  readonly caller: Caller;
  readonly address: string;
  readonly #headers: IncomingHttpHeaders;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, caller: Caller) {
    this.caller = caller;
    this.address = stream.session?.socket.remoteAddress ?? "";
    this.#headers = headers;
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return Array.isArray(value) ? value[0] : value;
  }
}

const lingerMs = 1_000;
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const timerMsMax = 2_147_483_647;

/** Starts the timer of a `grpc-timeout` header (1 to 8 digits and a unit); none without the header or with an unreadable one. */
function startDeadline(header: string | string[] | undefined, passed: () => void): NodeJS.Timeout | undefined {
  const match = typeof header === "string" ? /^(\d{1,8})([HMSmun])$/.exec(header) : null;
  if (match === null) return undefined;
  const timeoutMs = Number(match[1]) * (unitMs[match[2] as string] as number);
  return setTimeout(passed, Math.min(timeoutMs, timerMsMax));
}
