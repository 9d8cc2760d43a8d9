/** @gmq/log: the logger of every GMQ process. */
export { createLogger, type LoggerOptions } from "./create-logger.js";
export { type LogFields, type Logger, type LogLevel, logLevels, silentLogger } from "./logger.js";
export { redactFields, redactText } from "./redact.js";
