/** @gmq/otel: OpenTelemetry traces for @gmq/client. */
export { type OpenTelemetryOptions, openTelemetry } from "./open-telemetry.js";
export { processMessage } from "./process-message.js";
