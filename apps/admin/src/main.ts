import { createLogger } from "@gmq/log";
import { loadConfig, packageVersion, runService } from "@gmq/service";
import { adminConfigOptions } from "./config.js";
import { startAdmin } from "./start-admin.js";

const { values } = loadConfig({
  name: "gmq-admin",
  version: packageVersion(new URL("../package.json", import.meta.url)),
  description: "GMQ admin portal: shows brokers, topics and groups in a browser.",
  ...adminConfigOptions,
  otherVariables: ["GMQ_HEALTH_PORT", "GMQ_HEALTH_PATH"],
  examples: ["gmq-admin --addr :8080 --brokers http://broker-1:50051,http://broker-2:50051"],
});
const logger = createLogger({ name: "admin", level: values.logLevel });
await runService({
  name: "the portal",
  logger,
  drainTimeoutMs: values.drainTimeoutMs,
  start: () => startAdmin(values, logger),
});
