/** The storage service as a program, for those who embed it. */
export { type StorageConfig, storageConfigOptions, storageSchema } from "./config.js";
export { openEngine } from "./open-engine.js";
export { type RunningStorage, serveStorage, startStorage } from "./start-storage.js";
