/**
 * Every metric that GMQ exposes, by name: the one place that says what there is. docs/metrics.md is written from it, the Grafana dashboard and the alert rules are
 * checked against it. Process metrics (`process_…`, `nodejs_…`) come from prom-client and are not listed.
 */

/** Which service exposes a metric. */
export type MetricPart = "broker" | "storage" | "admin";

/** One metric. */
export interface MetricFacts {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly parts: readonly MetricPart[];
  readonly labels: readonly string[];
  readonly help: string;
}

const everywhere: readonly MetricPart[] = ["broker", "storage", "admin"];
const overStore: readonly MetricPart[] = ["broker", "storage"];
const broker: readonly MetricPart[] = ["broker"];
const storage: readonly MetricPart[] = ["storage"];
const admin: readonly MetricPart[] = ["admin"];

function metric(
  kind: MetricFacts["kind"],
  parts: readonly MetricPart[],
  help: string,
  labels: readonly string[] = [],
): MetricFacts {
  return { kind, parts, help, labels };
}

const place = ["group", "topic", "partition"];

/** The catalogue, in the order of docs/metrics.md. */
export const metricCatalogue = {
  gmq_build_info: metric("gauge", everywhere, "1; its labels tell the version and the service.", ["version", "part"]),
  gmq_ready: metric("gauge", everywhere, "1 while the process is ready, as /readyz says; else 0."),
  gmq_problems: metric("gauge", everywhere, "1 for each subject that keeps the process from being ready.", ["subject"]),
  gmq_connections_refused_total: metric(
    "counter",
    everywhere,
    "Connections turned away: over the connections at once (total), or over the new ones of an address in a second (address).",
    ["limit"],
  ),

  gmq_append_batches_total: metric("counter", overStore, "Batches stored, duplicates left out."),
  gmq_append_records_total: metric("counter", overStore, "Records stored; on a broker those published through it."),
  gmq_append_bytes_total: metric("counter", overStore, "Bytes of stored batches as the producer encoded them."),
  gmq_append_duplicates_total: metric("counter", overStore, "Batches that were stored before and answered as such."),
  gmq_fetch_records_total: metric("counter", overStore, "Records read from the log for consumers."),
  gmq_fetch_bytes_total: metric("counter", overStore, "Bytes read from the log for consumers."),
  gmq_settle_records_total: metric("counter", overStore, "Records settled, by verb; refused ones left out.", ["verb"]),
  gmq_append_duration_seconds: metric("histogram", overStore, "Time of one append call of many batches."),
  gmq_fetch_duration_seconds: metric("histogram", overStore, "Time of one fetch call for many partitions."),
  gmq_settle_duration_seconds: metric("histogram", overStore, "Time of one settle call for many partitions."),
  gmq_store_errors_total: metric("counter", overStore, "Batches, fetches and settlements that the store refused.", [
    "operation",
    "code",
  ]),

  gmq_delivered_records_total: metric("counter", broker, "Records handed to consumers, redeliveries included."),
  gmq_delivered_bytes_total: metric("counter", broker, "Bytes handed to consumers."),
  gmq_sessions: metric("gauge", broker, "Open sessions."),
  gmq_subscriptions: metric("gauge", broker, "Open subscriptions of sessions and thin clients."),
  gmq_credit_records: metric("gauge", broker, "Records that consumers still allow to be delivered."),
  gmq_credit_bytes: metric("gauge", broker, "Bytes that consumers still allow to be delivered."),
  gmq_in_flight_records: metric("gauge", broker, "Records with consumers, delivered and not settled."),
  gmq_publish_in_flight_bytes: metric("gauge", broker, "Bytes of batches that wait for the store."),
  gmq_requests_in_flight: metric("gauge", broker, "Requests of sessions that are not answered yet."),
  gmq_request_errors_total: metric("counter", broker, "Requests and batches of sessions answered with an error.", [
    "code",
  ]),

  gmq_store_ready: metric("gauge", overStore, "1 while the store can serve, else 0."),
  gmq_store_info: metric("gauge", overStore, "1; its labels tell the engine and what a crash of it can lose.", [
    "engine",
    "durability",
  ]),
  gmq_store_memory_bytes: metric("gauge", storage, "Memory that Redis uses; for the embedded engine its live bytes."),
  gmq_store_memory_max_bytes: metric("gauge", storage, "Redis' maxmemory; 0 when there is none."),

  gmq_group_lag_records: metric("gauge", storage, "Records behind the end, unsettled ones included.", place),
  gmq_group_lag_seconds: metric("gauge", storage, "Age of the oldest unsettled record, 0 without lag.", place),
  gmq_group_unsettled_records: metric("gauge", storage, "Records handed out and not settled.", ["group"]),
  gmq_group_lost_records_total: metric("counter", storage, "Records trimmed before the group settled them.", ["group"]),
  gmq_group_members: metric("gauge", storage, "Members of the group.", ["group"]),
  gmq_group_lag_summed: metric(
    "gauge",
    storage,
    "1 while there are more groups × partitions than lag-series-max: lag is then one sum per group, its seconds the largest, with empty topic and partition.",
  ),
  gmq_group_lag_series: metric("gauge", storage, "Groups × partitions that there are."),
  gmq_group_lag_failures_total: metric(
    "counter",
    storage,
    "Times that lag could not be read; its series are left out.",
  ),

  gmq_portal_brokers: metric("gauge", admin, "Brokers that the portal knows, by whether they answer.", ["state"]),
} as const satisfies Readonly<Record<string, MetricFacts>>;

/** A name in the catalogue. */
export type MetricName = keyof typeof metricCatalogue;
