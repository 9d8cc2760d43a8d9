/** `@gmq/transport/frames`: what a client of frame streams needs. No Connect is loaded with it. */
export { errorFromMessage } from "./error-messages.js";
export type { FrameStream } from "./frame-stream.js";
export { createFrameConnection } from "./lean/frame-connection.js";
export type { NodeTransport, NodeTransportOptions } from "./node-transport.js";
export type { TlsClientOptions } from "./tls-client.js";
