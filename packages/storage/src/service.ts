/** @gmq/storage/service: an engine served to brokers over gRPC. */
export { createStorageService, type StorageServer, type StorageServiceOptions } from "./service/storage-service.js";
