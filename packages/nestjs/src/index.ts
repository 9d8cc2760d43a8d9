/** @gmq/nestjs: GMQ as a transport of NestJS microservices, and its connection as a provider. */
export { GmqClient, type GmqClientOptions } from "./gmq-client.js";
export { GmqContext } from "./gmq-context.js";
export { GmqEventPattern, GmqMessagePattern, gmqTransport } from "./gmq-event-pattern.js";
export {
  GmqModule,
  type GmqModuleAsyncOptions,
  type GmqModuleOptions,
  type GmqModuleScope,
  gmqClientToken,
  gmqToken,
  InjectGmq,
  InjectGmqClient,
} from "./gmq-module.js";
export { GmqRecord, type GmqRecordOptions } from "./gmq-record.js";
export { GmqServer, type GmqServerEvents, type GmqServerOptions, type GmqServerStatus } from "./gmq-server.js";
export type { GmqHandlerOptions } from "./handler-options.js";
export type { GmqPattern } from "./json-values.js";
