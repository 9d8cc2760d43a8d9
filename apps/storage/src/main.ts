import { createLogger } from "@gmq/log";
import { loadConfig, packageVersion, runService } from "@gmq/service";
import { storageConfigOptions } from "./config.js";
import { startStorage } from "./start-storage.js";

const { values } = loadConfig({
  name: "gmq-storage",
  version: packageVersion(new URL("../package.json", import.meta.url)),
  description: "GMQ storage service: keeps topics and groups on Redis, or in a folder, and serves them to brokers.",
  ...storageConfigOptions,
  otherVariables: ["GMQ_HEALTH_PORT", "GMQ_HEALTH_PATH"],
  examples: [
    "gmq-storage --addr :50052 --redis-addr redis:6379 --redis-pass secret",
    "gmq-storage --redis-url rediss://user:secret@redis.example:6380/0",
    "gmq-storage --redis-cluster node1:6379,node2:6379",
    "gmq-storage --redis-sentinels s1:26379,s2:26379,s3:26379 --redis-master mymaster",
    "gmq-storage --data ./data",
  ],
});
const logger = createLogger({ name: "storage", level: values.logLevel });
await runService({
  name: "the storage service",
  logger,
  drainTimeoutMs: values.drainTimeoutMs,
  start: () => startStorage(values, logger),
});
