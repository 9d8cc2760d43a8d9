/** A registry that knows only the catalogue's names, and the page that shows it. Values are read when somebody asks: counting costs nothing but the count. */
import type { Logger } from "@gmq/log";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type MetricFacts, type MetricName, type MetricPart, metricCatalogue } from "./catalogue.js";
import { addSecondsHistogram } from "./seconds-histogram.js";

/** A value, or one for each combination of labels. */
export type Reading = number | readonly LabelledReading[];

/** One series. */
export interface LabelledReading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The metrics of one service in this process. */
export interface Metrics {
  /** What the metric is whenever it is asked for; a rejected reading leaves its series out. For a counter: the total so far. */
  read(name: MetricName, reading: () => Reading | Promise<Reading>): void;
  /** A histogram of seconds; the returned function takes one measurement. */
  seconds(name: MetricName): (seconds: number) => void;
  /** The text of Prometheus' format. */
  text(): Promise<string>;
  /** Answers GET /metrics; false: not its path. */
  readonly page: MetricsPage;
  /** Lets go of process observers. */
  close(): void;
}

/** Fits `PlainHttp` of @gmq/service. */
export type MetricsPage = (
  request: { readonly method?: string | undefined; readonly url?: string | undefined },
  response: {
    writeHead(status: number, headers: Readonly<Record<string, string | number>>): unknown;
    end(body?: string): unknown;
  },
) => boolean;

/** Every look at the event loop's delay wakes the process: at prom-client's 10 ms they are a third of a percent of a core that has nothing else to do. */
const eventLoopSampleMs = 50;

/** Makes the metrics of a service. */
export function createMetrics(options: {
  readonly part: MetricPart;
  readonly version: string;
  readonly logger: Logger;
}): Metrics {
  const { part, version, logger } = options;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: eventLoopSampleMs });

  function factsOf(name: MetricName): MetricFacts {
    const facts: MetricFacts = metricCatalogue[name];
    if (!facts.parts.includes(part)) throw new Error(`${name} is no metric of ${part}`);
    return facts;
  }

  async function readingOf(name: string, reading: () => Reading | Promise<Reading>): Promise<Reading> {
    try {
      return await reading();
    } catch (error) {
      logger.debug("a metric could not be read", { metric: name, error });
      return [];
    }
  }

  function read(name: MetricName, reading: () => Reading | Promise<Reading>): void {
    const { kind, help, labels } = factsOf(name);
    const settings = { name, help, labelNames: [...labels], registers: [registry] };
    if (kind === "counter") {
      const counter: Counter = new Counter({
        ...settings,
        async collect() {
          const values = await readingOf(name, reading);
          counter.reset();
          for (const { labels: of, value } of seriesOf(values)) counter.inc(of, value);
        },
      });
      return;
    }
    const gauge: Gauge = new Gauge({
      ...settings,
      async collect() {
        const values = await readingOf(name, reading);
        gauge.reset();
        // `reset` gives a metric without labels the value 0, also when there is no reading.
        if (Array.isArray(values) && values.length === 0) gauge.remove({});
        for (const { labels: of, value } of seriesOf(values)) gauge.set(of, value);
      },
    });
  }

  function answer(response: Parameters<MetricsPage>[1], head: boolean): void {
    registry.metrics().then(
      (text) => {
        response.writeHead(200, { "content-type": registry.contentType, "cache-control": "no-store" });
        response.end(head ? undefined : text);
      },
      (error: unknown) => {
        logger.error("metrics could not be written", { error });
        response.writeHead(500, { "content-type": "text/plain; charset=utf-8" });
        response.end("metrics could not be written\n");
      },
    );
  }

  read("gmq_build_info", () => [{ labels: { version, part }, value: 1 }]);
  return {
    read,
    seconds: (name) => addSecondsHistogram(registry, name, factsOf(name).help),
    text: () => registry.metrics(),
    page({ method, url = "" }, response) {
      if (url !== "/metrics" && !url.startsWith("/metrics?")) return false;
      if (method === "GET" || method === "HEAD") answer(response, method === "HEAD");
      else {
        response.writeHead(405, { allow: "GET, HEAD" });
        response.end();
      }
      return true;
    },
    close: () => registry.clear(),
  };
}

function seriesOf(reading: Reading): readonly LabelledReading[] {
  return typeof reading === "number" ? [{ labels: {}, value: reading }] : reading;
}
