/** @gmq/metrics: what GMQ's services count, and the page that shows it to Prometheus. */
export { type MetricFacts, type MetricName, type MetricPart, metricCatalogue } from "./catalogue.js";
export { addGroupLag, type GroupLagOptions } from "./group-lag.js";
export { measureEngine } from "./measured-engine.js";
export { createMetrics, type LabelledReading, type Metrics, type MetricsPage, type Reading } from "./metrics.js";
export { addReadiness, addRefusedConnections, addStoreStatus, type Readiness } from "./store-metrics.js";
