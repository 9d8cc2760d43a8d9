/**
 * A histogram of seconds in plain numbers. prom-client's own makes several objects for each observation; this one makes none and is put together when somebody scrapes,
 * in the form that prom-client's registry reads from any metric.
 */
import type { Metric, MetricValueWithName, Registry } from "prom-client";

/** Upper bounds, 0.5 ms to 10 s. */
const bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Adds a histogram to a registry; the returned function takes one measurement. */
export function addSecondsHistogram(registry: Registry, name: string, help: string): (seconds: number) => void {
  /** Measurements by bucket; the last is for those above every bound. */
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;

  function read(): { readonly values: readonly MetricValueWithName<string>[] } & Record<string, unknown> {
    let below = 0;
    const values: MetricValueWithName<string>[] = Array.from(counts, (count, at) => {
      below += count;
      return {
        labels: { le: at === bounds.length ? "+Inf" : String(bounds[at]) },
        value: below,
        metricName: `${name}_bucket`,
      };
    });
    values.push(
      { labels: {}, value: sum, metricName: `${name}_sum` },
      { labels: {}, value: below, metricName: `${name}_count` },
    );
    return { name, help, type: "histogram", aggregator: "sum", values };
  }

  registry.registerMetric({
    name,
    help,
    type: "histogram",
    get: async () => read(),
    reset: () => counts.fill(0),
  } as unknown as Metric);
  return (seconds) => {
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] as number)) at++;
    counts[at] = (counts[at] as number) + 1;
    sum += seconds;
  };
}
