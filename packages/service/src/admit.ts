/** Who calls is found out from the headers, before a byte of the body is read; who is refused is told so in the words of his protocol. */
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { codeToHttpStatus, endStreamFlag, endStreamToJson, errorToJson } from "@connectrpc/connect/protocol-connect";
import { GmqError } from "@gmq/protocol";
import { type Caller, statusTrailers, toConnectError } from "@gmq/transport";
import type { NodeResponse } from "./connect-requests.js";

/** What is known of a call before its body. */
export interface CallHeaders {
  /** Path without query. */
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  /** Subject's common name of the client certificate, when the connection has one that the port's authorities vouch for. */
  readonly certificateName: string | undefined;
  /** Address of the peer, "" when unknown. */
  readonly address: string;
}

/**
 * Finds out who calls. A promise only where it has to ask somebody else: most calls are decided at once.
 * @throws GmqError `unauthenticated`, `permission_denied`, `unavailable`
 */
export type Authenticate = (call: CallHeaders) => Caller | Promise<Caller>;

/** Runs `go` with the caller, or `refuse`; in this turn where `authenticate` decides in this turn. */
export function admit(
  authenticate: Authenticate,
  call: CallHeaders,
  go: (caller: Caller) => void,
  refuse: (error: GmqError) => void,
): void {
  let caller: Caller | Promise<Caller>;
  try {
    caller = authenticate(call);
  } catch (error) {
    refuse(GmqError.from(error));
    return;
  }
  if (!(caller instanceof Promise)) go(caller);
  else caller.then(go, (error: unknown) => refuse(GmqError.from(error)));
}

/** The name in a client certificate that the port's authorities vouch for. */
export function certificateName(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const name = socket.getPeerCertificate().subject?.CN;
  return typeof name === "string" && name !== "" ? name : undefined;
}

/** Answers a request that was not admitted, as gRPC, gRPC-web or Connect. */
export function refuseRequest(contentType: string, response: NodeResponse, error: GmqError): void {
  const connectError = toConnectError(error);
  if (contentType.startsWith("application/grpc")) {
    // Trailers only: the status is in the headers, and there is no body.
    write(response, 200, { "content-type": contentType, ...statusTrailers(error) }, "");
  } else if (contentType.startsWith("application/connect+")) {
    const json = Buffer.from(JSON.stringify(endStreamToJson(new Headers(), connectError, undefined)));
    const prefix = Buffer.alloc(5);
    prefix[0] = endStreamFlag;
    prefix.writeUInt32BE(json.length, 1);
    write(response, 200, { "content-type": contentType }, Buffer.concat([prefix, json]));
  } else {
    const body = JSON.stringify(errorToJson(connectError, undefined));
    const challenge: Record<string, string> = error.code === "unauthenticated" ? { "www-authenticate": "Bearer" } : {};
    write(response, codeToHttpStatus(connectError.code), { "content-type": "application/json", ...challenge }, body);
  }
}

function write(
  response: NodeResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // The body that was announced is not wanted: nothing more can be asked over this connection.
  if (!("stream" in response)) response.setHeader("connection", "close");
  response.end(body);
}
