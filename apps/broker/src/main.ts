import { createLogger } from "@gmq/log";
import { loadConfig, packageVersion, runService } from "@gmq/service";
import { brokerConfigOptions } from "./config.js";
import { startBroker } from "./start-broker.js";

const { values } = loadConfig({
  name: "gmq-broker",
  version: packageVersion(new URL("../package.json", import.meta.url)),
  description: "GMQ broker: producers and consumers connect here; it keeps nothing, any number of them can run.",
  ...brokerConfigOptions,
  otherVariables: ["GMQ_HEALTH_PORT", "GMQ_HEALTH_PATH"],
  examples: [
    "gmq-broker --addr :50051 --storage storage:50052",
    "gmq-broker --storage http://storage-1:50052,http://storage-2:50052 --partitions 16",
  ],
});
const logger = createLogger({ name: "broker", level: values.logLevel });
await runService({
  name: "the broker",
  logger,
  drainTimeoutMs: values.drainTimeoutMs,
  start: () => startBroker(values, logger),
});
