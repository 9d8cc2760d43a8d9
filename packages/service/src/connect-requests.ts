/** Runs Connect's handlers on Node's HTTP/1.1 and HTTP/2 requests: what connectNodeAdapter does, with errors to our logger and access to the connection. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { type ConnectRouter, createConnectRouter, createContextValues } from "@connectrpc/connect";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Logger } from "@gmq/log";
import { limits } from "@gmq/protocol";
import { Health as HealthService } from "@gmq/protocol/grpc";
import {
  anybody,
  type Caller,
  errorInterceptor,
  fromConnectError,
  type PeerConnection,
  peerConnectionKey,
  requestIdHeader,
  requestIdOf,
} from "@gmq/transport";
import { type Authenticate, admit, type CallHeaders, certificateName, refuseRequest } from "./admit.js";
import { checkedRequest } from "./checked-body.js";

/** A request of either HTTP version. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;
/** A response of either HTTP version. */
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Registers services: `(router) => router.service(BrokerService, { … })`. */
export type Routes = (router: ConnectRouter) => unknown;

/** Takes a request when its path is an RPC's; false: nothing was touched. */
export type ConnectRequests = (request: NodeRequest, response: NodeResponse) => boolean;

/** A client that keeps its side of a call open after the answer would hold the stream. */
const lingerMs = 1_000;
/** How long one that still sends what was refused may take to come to its end and read the answer. */
const unreadBodyMs = 30_000;

/** Makes the handler of all routes. `shutdown` aborts every call that still runs; without `authenticate` everybody may call. */
export function createConnectRequests(
  routes: Routes,
  logger: Logger,
  shutdown: AbortSignal,
  authenticate: Authenticate = () => anybody,
): ConnectRequests {
  const router = createConnectRouter({
    // Requests may come compressed; answers are not: batches compress themselves.
    acceptCompression: [compressionGzip],
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes: limits.frameBytesMax,
    writeMaxBytes: limits.frameBytesMax,
    // "partition": 0 is worth reading for whoever calls with curl.
    jsonOptions: { alwaysEmitImplicit: true },
    binaryOptions: { readUnknownFields: false },
    shutdownSignal: shutdown,
    interceptors: [
      errorInterceptor((error, method, header) => {
        logger.error(`call of ${method} failed`, { requestId: header.get(requestIdHeader) ?? "", error });
      }),
    ],
  });
  routes(router);
  type UniversalHandler = (typeof router.handlers)[number];
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));

  return (request, response) => {
    const handler = handlers.get(pathOf(request));
    if (handler === undefined) return false;
    const call = callOf(request);
    admit(
      isOpen(handler) ? () => anybody : authenticate,
      call,
      (caller) => response.destroyed || serve(handler, request, response, connectionOf(request, caller)),
      (error) => refuseRequest(call.headers["content-type"] ?? "", response, error),
    );
    return true;
  };

  function serve(
    handler: UniversalHandler,
    request: NodeRequest,
    response: NodeResponse,
    connection: PeerConnection,
  ): void {
    const values = createContextValues().set(peerConnectionKey, connection);
    const universal = readRequest(() => universalRequestFromNodeRequest(request, response, undefined, values));
    if (universal === undefined) {
      response.statusCode = 400;
      response.end();
      return;
    }
    const requestId = requestIdOf(request.headers);
    universal.header.set(requestIdHeader, requestId);
    response.setHeader(requestIdHeader, requestId);
    closeLingering(request, response);
    const body = "stream" in request ? (request as AsyncIterable<Uint8Array>) : bodyOf(request);
    const checked = checkedRequest({ header: universal.header, body }, handler.method.input);
    handler({ ...universal, ...checked })
      .then((answer) => universalResponseToNodeResponse(answer, response))
      .catch((cause: unknown) => {
        const error = fromConnectError(cause);
        const peerLeft = error.code === "unavailable" || error.code === "cancelled";
        logger[peerLeft ? "debug" : "error"](`answer of ${handler.requestPath} failed`, { requestId, error });
      });
  }
}

/** Whether somebody is there and well may be asked by everybody. */
function isOpen({ service }: { readonly service: { readonly typeName: string } }): boolean {
  return service.typeName === HealthService.typeName;
}

function callOf(request: NodeRequest): CallHeaders {
  const { socket } = request;
  return {
    path: pathOf(request),
    method: request.method ?? "",
    headers: request.headers,
    certificateName: certificateName(socket),
    address: socket.remoteAddress ?? "",
  };
}

/** Undefined for a request without a host, or with one that makes no URL: what throws here would end the process. */
function readRequest<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** The path without its query. */
export function pathOf(request: { readonly url?: string | undefined }): string {
  const url = request.url ?? "";
  const query = url.indexOf("?");
  return query === -1 ? url : url.slice(0, query);
}

function connectionOf(request: NodeRequest, caller: Caller): PeerConnection {
  return {
    caller,
    address: request.socket.remoteAddress ?? "",
    reset() {
      if ("stream" in request) request.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      else request.socket.destroy();
    },
  };
}

/** The body of an HTTP/1.1 request. Who stops reading before its end, because it is too large, must not break the connection: the answer goes out by it. */
function bodyOf(request: IncomingMessage): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }) };
}

/** Ends calls whose client still sends when the answer is out. What it sends is thrown away until then: browsers and curl read no answer while a write is refused. */
function closeLingering(request: NodeRequest, response: NodeResponse): void {
  // Connect answers by the length alone then, and Node resets at once a stream that nobody read.
  if (isTooLong(request)) request.resume();
  const isHttp2 = "stream" in request;
  response.once("finish", () => {
    if (request.complete || (isHttp2 && request.stream.closed)) return;
    request.resume();
    const close = (): void => void (isHttp2 ? request.stream.close(constants.NGHTTP2_NO_ERROR) : request.destroy());
    const timer = setTimeout(close, isHttp2 ? lingerMs : unreadBodyMs);
    (isHttp2 ? request.stream : request).once("close", () => clearTimeout(timer));
  });
}

/** Whether a message without a frame around it says that it is over the limit. */
function isTooLong({ headers }: NodeRequest): boolean {
  const isUnframed = /^application\/(json|proto)\b/.test(headers["content-type"] ?? "");
  return isUnframed && Number(headers["content-length"] ?? 0) > limits.frameBytesMax;
}
