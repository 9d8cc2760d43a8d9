import { createLogger } from "@gmq/log";
import { loadConfig, packageVersion, runService } from "@gmq/service";
import { banner } from "./banner.js";
import { standaloneConfigOptions } from "./config.js";
import { startStandalone } from "./start-standalone.js";

const { values } = loadConfig({
  name: "gmq-standalone",
  version: packageVersion(new URL("../package.json", import.meta.url)),
  description: "GMQ in one process: broker, storage and portal, on the embedded engine or on Redis.",
  ...standaloneConfigOptions,
  otherVariables: ["GMQ_HEALTH_PORT", "GMQ_HEALTH_PATH", "GMQ_CLI"],
  examples: [
    "gmq-standalone",
    "gmq-standalone --data /var/lib/gmq",
    "gmq-standalone --redis-url redis://127.0.0.1:6379",
  ],
});
const logger = createLogger({ name: "gmq", level: values.logLevel });
await runService({
  name: "GMQ",
  logger,
  drainTimeoutMs: values.drainTimeoutMs,
  async start() {
    const running = await startStandalone(values, logger);
    process.stdout.write(banner(running, process.env["GMQ_CLI"] ?? "gmq"));
    return running;
  },
});
