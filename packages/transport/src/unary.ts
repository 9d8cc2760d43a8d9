/** `@gmq/transport/unary`: calls with one request. No Connect is loaded with it. */
export { type CallClient, type CallConnection, type CallLimits, createCallConnection } from "./lean/call-connection.js";
