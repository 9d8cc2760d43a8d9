/** The storage service as a program, for those who embed it. */
export {
  redisTlsFields,
  redisTlsFlags,
  type StorageConfig,
  storageConfigOptions,
  storageSchema,
  storageTokenFields,
  storageTokenFlags,
} from "./config.js";
export { openEngine } from "./open-engine.js";
export { openStoragePort, type RunningStorage, serveStorage, startStorage } from "./start-storage.js";
