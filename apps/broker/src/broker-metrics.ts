import type { Broker } from "@gmq/broker";
import type { Metrics } from "@gmq/metrics";

/** Shows what a broker is doing. */
export function addBrokerLoad(metrics: Metrics, broker: Pick<Broker, "load">): void {
  metrics.read("gmq_delivered_records_total", () => broker.load().deliveredRecords);
  metrics.read("gmq_delivered_bytes_total", () => broker.load().deliveredBytes);
  metrics.read("gmq_sessions", () => broker.load().sessions);
  metrics.read("gmq_subscriptions", () => broker.load().subscriptions);
  metrics.read("gmq_credit_records", () => broker.load().creditRecords);
  metrics.read("gmq_credit_bytes", () => broker.load().creditBytes);
  metrics.read("gmq_in_flight_records", () => broker.load().heldRecords);
  metrics.read("gmq_publish_in_flight_bytes", () => broker.load().publishBytesInFlight);
  metrics.read("gmq_requests_in_flight", () => broker.load().requestsInFlight);
  metrics.read("gmq_request_errors_total", () =>
    Array.from(broker.load().errors, ([code, value]) => ({ labels: { code }, value })),
  );
}
