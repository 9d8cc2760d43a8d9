/** @gmq/service: what every deployable shares: configuration, one port, health, reflection, lifecycle. */
export { type Closers, createClosers } from "./closers.js";
export type { FlagOptions } from "./config-fields.js";
export type { Routes } from "./connect-requests.js";
export { createHealth, type Health, healthPages, healthRoutes } from "./health.js";
export { type Listener, type ListenLimits, type ListenOptions, listen } from "./listen.js";
export { type Config, type ConfigOptions, type ConfigOutcome, loadConfig, parseConfig } from "./load-config.js";
export type { PlainHttp, PlainRequest, PlainResponse } from "./plain-http.js";
export { reflectionRoutes } from "./reflection.js";
export { type RunningService, type RunServiceOptions, runService, type ServiceHost } from "./run-service.js";
export {
  type Address,
  addressField,
  drainTimeoutField,
  logLevelField,
  originsField,
  originsOf,
  packageVersion,
  parseAddress,
  parseOrigin,
} from "./settings.js";
export { watchReadiness } from "./watch-readiness.js";
