/** Every generated message, enum and service, one subpath: `@gmq/protocol/messages`. */
export * from "./gen/gmq/v1/admin_pb.js";
export * from "./gen/gmq/v1/broker_pb.js";
export * from "./gen/gmq/v1/error_pb.js";
export * from "./gen/gmq/v1/portal_pb.js";
export * from "./gen/gmq/v1/record_pb.js";
export * from "./gen/gmq/v1/storage_pb.js";
export * from "./gen/gmq/v1/topic_pb.js";
