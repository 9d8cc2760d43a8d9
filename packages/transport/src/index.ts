/** @gmq/transport: a duplex of frames over one gRPC stream, both ends, and the one translation of errors. */

export { type Action, anybody, type Caller } from "./caller.js";
export { type OpenFrameStreamOptions, openFrameStream } from "./connect/connect-client.js";
export { type ConnectFrameHandler, connectFrameHandler, type FrameHandlerOptions } from "./connect/connect-server.js";
export { errorInterceptor } from "./connect/error-interceptor.js";
export { type PeerConnection, peerConnectionKey } from "./connect/peer-connection.js";
export { createServiceClient } from "./connect/service-client.js";
export { errorFromMessage, errorToMessage } from "./error-messages.js";
export type { FrameHandlers, FrameStream, FrameStreamAcceptor, PeerContext } from "./frame-stream.js";
export { streamWindowBytes, widenSession } from "./http2-windows.js";
export { createFrameConnection, type FrameConnection } from "./lean/frame-connection.js";
export { type DecoderOf, leanFrameHandler } from "./lean/frame-method.js";
export { type LeanHandler, refuseLeanStream } from "./lean/lean-server.js";
export { checkListItems } from "./lean/list-items.js";
export { statusTrailers } from "./lean/status.js";
export { leanUnaryHandlers, type UnaryCalls } from "./lean/unary-handlers.js";
export { viewDecoderOf } from "./lean/view-decoder.js";
export {
  createNodeTransport,
  type NodeTransport,
  type NodeTransportOptions,
} from "./node-transport.js";
export { requestIdHeader, requestIdOf } from "./request-id.js";
export type { TlsClientOptions, TlsClientSource } from "./tls-client.js";
export { fromConnectError, toConnectError } from "./translate-error.js";
