/** `@gmq/transport/unary`: calls with one answer, over Connect. Apart, so that whoever loads it only when there is one to make does not load Connect before. */
export { createServiceClient } from "./connect/service-client.js";
export { createNodeTransport } from "./node-transport.js";
