/**
 * The one place where Connect's, Node's and HTTP/2's errors become GmqErrors and back.
 * A GmqError travels as the status of `errorTable` with a gmq.v1.Error as its detail, so that code, field and limit survive.
 */
import { type Code, ConnectError } from "@connectrpc/connect";
import { ErrorSchema } from "@gmq/protocol/messages";
import { type ErrorCode, errorTable, GmqError } from "@gmq/protocol/portable";
import { errorFromMessage } from "./error-messages.js";
import { codeOfStatus, statusNumbers } from "./grpc-status.js";

export { errorFromMessage, errorToMessage } from "./error-messages.js";

/** What a handler throws so that the caller's `fromConnectError` gives the same GmqError. The cause stays here. */
export function toConnectError(error: GmqError): ConnectError {
  const { code, message, retryable, field, limit } = error;
  return new ConnectError(
    message,
    statusNumbers[errorTable[code].status] as Code,
    undefined,
    [{ desc: ErrorSchema, value: { code, message, retryable, field, limit } }],
    error,
  );
}

/**
 * The GmqError behind whatever a call failed with. A connection that was refused, reset or went away is `unavailable`.
 * @param signal the caller's own: a cancelled call whose caller did not give up was cut by the other side and is `unavailable` too
 */
export function fromConnectError(error: unknown, signal?: AbortSignal): GmqError {
  const chain = causesOf(error);
  const known = chain.find((cause) => GmqError.is(cause));
  if (known !== undefined) return known;
  const connectError = chain.find((cause) => cause instanceof ConnectError);
  const detail = connectError?.findDetails(ErrorSchema)[0];
  if (detail !== undefined) return errorFromMessage(detail);
  const text = connectError?.rawMessage ?? "";
  const code = codesByText.find(([start]) => text.startsWith(start))?.[1];
  if (code !== undefined) return new GmqError(code, text, { cause: error });
  if (chain.some(isConnectionError)) return unavailable(error);
  if (connectError === undefined) return GmqError.from(error);
  const status = codeOfStatus(connectError.code);
  if (status === "cancelled" && signal !== undefined && !signal.aborted) return unavailable(error);
  return new GmqError(status, text, { cause: error });
}

/** What Connect itself has to say carries a status that means other things too; only its text tells. */
const codesByText: readonly (readonly [start: string, code: ErrorCode])[] = [
  ["message size ", "frame_too_large"],
  ["parse binary: ", "malformed_frame"],
  ["protocol error: incomplete envelope", "malformed_frame"],
  ["protocol error: promised ", "malformed_frame"],
  // How a server cuts off a peer that does not read.
  ["Stream closed with error code NGHTTP2_ENHANCE_YOUR_CALM", "resource_exhausted"],
  // A stream that ends without a status, or by a reset that says nothing: its process or a proxy died.
  ["protocol error: missing status", "unavailable"],
  ["http/2 stream closed with error code INTERNAL_ERROR", "unavailable"],
  ["http/2 stream closed with error code PROTOCOL_ERROR", "unavailable"],
];

/** True when Node tells that the connection, not the call, failed. */
function isConnectionError(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return (
    typeof code === "string" &&
    (connectionCodes.has(code) || /^(ERR_HTTP2_|ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_)/.test(code))
  );
}

const connectionCodes: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "EPROTO",
  "ERR_STREAM_DESTROYED",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_WRITE_AFTER_END",
  "ETIMEDOUT",
]);

function unavailable(cause: unknown): GmqError {
  const text =
    cause instanceof ConnectError ? cause.rawMessage : cause instanceof Error ? cause.message : String(cause);
  return new GmqError("unavailable", text, { cause });
}

/** The error and its causes, outermost first; 8 at most, so that a loop ends. */
function causesOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let cause = error; cause !== undefined && cause !== null && chain.length < 8; ) {
    chain.push(cause);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return chain;
}
