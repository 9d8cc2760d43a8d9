/** One gRPC request on a node:http2 session: how it is opened, reset, and what it ended with. */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { GmqError } from "@gmq/protocol";
import { errorOfTrailers } from "./status.js";

/** A request that was sent; its body is the opener's. */
export interface LeanRequest {
  readonly stream: ClientHttp2Stream;
  /** Resets the stream at once; `stream.close` would end it in order first, and the server could not tell the difference. */
  reset(): void;
}

/** Sends the headers at once. `ended` is called once, when the stream is gone, with the status's error or what broke it. */
export function openLeanRequest(
  session: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string>> | undefined,
  ended: (error: GmqError | undefined) => void,
): LeanRequest {
  const abort = new AbortController();
  const reset = (): void => abort.abort();
  const stream = session.request(
    {
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc+proto",
      te: "trailers",
      "grpc-accept-encoding": "identity",
      ...headers,
    },
    { signal: abort.signal },
  );
  let outcome: { readonly error: GmqError | undefined } | undefined;
  stream.on("response", (answer) => {
    const refused = refusal(answer);
    if (refused === undefined) return;
    outcome = { error: refused };
    // What follows is no gRPC: a page that says "not found", say.
    if (answer["grpc-status"] === undefined) reset();
  });
  stream.on("trailers", (trailers) => {
    outcome ??= { error: errorOfTrailers(trailers) };
    // Node makes an error, with a stack, of a second end.
    if (!stream.writableEnded) stream.end();
  });
  stream.on("error", (cause) => {
    outcome ??= { error: brokenBy(cause) };
  });
  stream.on("close", () =>
    ended(outcome === undefined ? new GmqError("unavailable", "the stream ended without a status") : outcome.error),
  );
  return { stream, reset };
}

/** An answer that is not a gRPC stream, or one that consists of trailers only. */
function refusal(headers: IncomingHttpHeaders & { ":status"?: number | undefined }): GmqError | undefined {
  if (headers["grpc-status"] !== undefined) return errorOfTrailers(headers);
  const status = headers[":status"];
  if (status === 200 && String(headers["content-type"]).startsWith("application/grpc")) return undefined;
  const code = status === 401 ? "unauthenticated" : status === 403 ? "permission_denied" : "unavailable";
  return new GmqError(code, `the peer answered HTTP status ${status} instead of a gRPC stream`, { field: ":status" });
}

function brokenBy(cause: Error): GmqError {
  // GOAWAY with ENHANCE_YOUR_CALM: how a port turns connections away, of which there are too many.
  if (/^Session closed with error code (?:11|NGHTTP2_ENHANCE_YOUR_CALM)$/.test(cause.message))
    return new GmqError("resource_exhausted", "the peer takes no more connections from this address for now", {
      cause,
    });
  // The same of a stream: how a server cuts one off that is not read.
  if (/^Stream closed with error code (?:11|NGHTTP2_ENHANCE_YOUR_CALM)$/.test(cause.message))
    return new GmqError("resource_exhausted", "the peer cut the stream off: it was not read", {
      field: "send buffer",
      cause,
    });
  return new GmqError("unavailable", `the stream broke: ${cause.message}`, { cause });
}
