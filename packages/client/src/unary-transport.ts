/** Loaded by the first unary call: Connect and its gRPC transport are a fifth of the client. */
export { createNodeTransport } from "@gmq/transport/unary";
