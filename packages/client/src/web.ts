/** `@gmq/client/web`: publish and subscribe from a browser, over fetch. */
export { type ErrorCode, GmqError } from "@gmq/protocol/portable";
export type { CallOptions } from "./call-options.js";
export type { Start } from "./consumer-options.js";
export { Reject } from "./reject.js";
export { type Topic, type TopicLike, type TopicOptions, topic, type ValueCodec } from "./topic.js";
export type { TopicsLike } from "./topic-list.js";
export {
  connect,
  type WebConnectOptions,
  type WebGmq,
  type WebRecord,
  type WebStoredRecord,
} from "./web/connect-web.js";
export type { WebHandler, WebMessage, WebSubscribeOptions, WebSubscription } from "./web/web-subscription.js";
