/** The gRPC project's health and reflection services, generated from its own proto files: `@gmq/protocol/grpc`. */
export * from "./gen/grpc/health/v1/health_pb.js";
export * as reflectionV1 from "./gen/grpc/reflection/v1/reflection_pb.js";
export * as reflectionV1Alpha from "./gen/grpc/reflection/v1alpha/reflection_pb.js";
