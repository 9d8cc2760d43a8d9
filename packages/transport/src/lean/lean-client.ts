/** Opens one bidi gRPC call straight on a node:http2 session: the client's end of lean-server.ts; any gRPC server understands it. */
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import { GmqError } from "@gmq/protocol";
import type { FrameStream } from "../frame-stream.js";
import { createDuplexFrames, type FrameCodec } from "./duplex-frames.js";
import { errorOfTrailers } from "./status.js";

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
  // Aborting the request resets the stream at once; `stream.close` would end it in order first, and the server could not tell the difference.
  const reset = new AbortController();
  const stream = session.request(
    {
      ":method": "POST",
      ":path": options.path,
      "content-type": "application/grpc+proto",
      te: "trailers",
      "grpc-accept-encoding": "identity",
      ...options.headers,
    },
    { signal: reset.signal },
  );
  let outcome: { readonly error: GmqError | undefined } | undefined;

  const duplex = createDuplexFrames(stream, options.codec, {
    finish(_stream, error) {
      if (error === undefined) stream.end();
      else reset.abort();
    },
  });
  const cancel = (): void =>
    duplex.frames.close(new GmqError("cancelled", "the caller gave up", { cause: options.signal?.reason }));

  stream.on("response", (headers) => {
    const refused = refusal(headers);
    if (refused === undefined) return;
    outcome = { error: refused };
    // What follows is no gRPC: a page that says "not found", say.
    if (headers["grpc-status"] === undefined) reset.abort();
  });
  stream.on("trailers", (trailers) => {
    outcome ??= { error: errorOfTrailers(trailers) };
    stream.end();
  });
  stream.on("error", (cause) => {
    outcome ??= { error: new GmqError("unavailable", `the stream broke: ${cause.message}`, { cause }) };
  });
  stream.on("close", () => {
    options.signal?.removeEventListener("abort", cancel);
    duplex.ended(
      outcome === undefined ? new GmqError("unavailable", "the stream ended without a status") : outcome.error,
    );
  });
  if (options.signal?.aborted === true) cancel();
  else options.signal?.addEventListener("abort", cancel, { once: true });
  return duplex.frames;
}

/** An answer that is not a gRPC stream, or one that consists of trailers only. */
function refusal(headers: IncomingHttpHeaders & { ":status"?: number | undefined }): GmqError | undefined {
  if (headers["grpc-status"] !== undefined) return errorOfTrailers(headers);
  const status = headers[":status"];
  if (status === 200 && String(headers["content-type"]).startsWith("application/grpc")) return undefined;
  const code = status === 401 ? "unauthenticated" : status === 403 ? "permission_denied" : "unavailable";
  return new GmqError(code, `the peer answered HTTP status ${status} instead of a gRPC stream`, { field: ":status" });
}
