import type { Instrumentation, SettleStart } from "@gmq/client";
import { context, propagation, SpanKind, type Tracer, type TracerProvider, trace } from "@opentelemetry/api";
import { attributes, system } from "./attributes.js";
import { failSpan, type Relation, startProcessing } from "./process-message.js";
import { createRecentSpans } from "./recent-spans.js";

/** How clients are traced. */
export interface OpenTelemetryOptions {
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider;
  /** `child` (default): a handler's span is a child of the sender's, so that one trace shows both. `link`: it begins a trace of its own. Both ways it has a link. */
  readonly relation?: Relation;
  /** `false`: no spans for settlements. Default true: one for each frame of verdicts. */
  readonly settleSpans?: boolean;
}

/** Messages whose settle span can still be linked to them. */
const recentMax = 10_000;
/** What the SDK keeps of a span's links by default. */
const linksMax = 128;

/**
 * Traces by OpenTelemetry's conventions for messaging, for `connect({ instrumentation: openTelemetry() })`: a producer span per `send` or `sendBatch`, whose context
 * travels in the record's headers by the global propagator (W3C `traceparent` unless the app chose another), a consumer span per attempt of a handler, a client
 * span per frame of verdicts with links to the messages that it settles.
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Instrumentation {
  const { relation = "child", settleSpans = true } = options;
  const recent = createRecentSpans(recentMax);
  // A provider that is registered later is found by the global one's proxy.
  const tracer: Tracer = (options.tracerProvider ?? trace.getTracerProvider()).getTracer("@gmq/otel");

  return {
    sending({ topic, records, key }) {
      const span = tracer.startSpan(`send ${topic}`, {
        kind: SpanKind.PRODUCER,
        attributes: {
          [attributes.system]: system,
          [attributes.operationName]: "send",
          [attributes.operationType]: "send",
          [attributes.destination]: topic,
          ...(records === 1 ? {} : { [attributes.batchMessages]: records }),
          ...(typeof key === "string" && records === 1 ? { [attributes.key]: key } : {}),
        },
      });
      const headers: Record<string, string> = {};
      propagation.inject(trace.setSpan(context.active(), span), headers);
      return {
        headers,
        ended({ partition, offset, error }) {
          if (partition !== undefined) span.setAttribute(attributes.partition, String(partition));
          if (offset !== undefined && offset >= 0n) {
            span.setAttribute(attributes.offset, String(offset));
            if (records === 1) span.setAttribute(attributes.messageId, `${topic}/${partition}/${offset}`);
          }
          if (error !== undefined) failSpan(span, error);
          span.end();
        },
      };
    },

    handling(message, group, run) {
      const { span, inside } = startProcessing(tracer, message, group, relation);
      if (settleSpans) recent.add(group, message.topic, message.partition, message.offset, span.spanContext());
      try {
        const running: unknown = context.with(inside, run);
        // In JavaScript a handler may return anything: `(message) => list.push(message)` is one.
        if (!isThenable(running)) {
          span.end();
          return undefined;
        }
        return Promise.resolve(running).then(
          () => span.end(),
          (error: unknown) => {
            failSpan(span, error);
            span.end();
            throw error;
          },
        );
      } catch (error) {
        failSpan(span, error);
        span.end();
        throw error;
      }
    },

    settling(start) {
      if (!settleSpans) return ignore;
      const links = linksOf(start);
      const verbs = new Set(start.ranges.map(({ verb }) => verb));
      const [verb] = verbs;
      const name = verbs.size === 1 && verb !== undefined ? verb : "settle";
      const span = tracer.startSpan(
        `${name} ${start.topic}`,
        {
          kind: SpanKind.CLIENT,
          links,
          attributes: {
            [attributes.system]: system,
            [attributes.operationName]: name,
            [attributes.operationType]: "settle",
            [attributes.destination]: start.topic,
            [attributes.partition]: String(start.partition),
            [attributes.group]: start.group,
            [attributes.batchMessages]: countOf(start),
            [attributes.verbs]: [...verbs],
          },
        },
        // Verdicts of many messages leave together: the frame belongs to none of them.
        trace.deleteSpan(context.active()),
      );
      return (error) => {
        if (error !== undefined) failSpan(span, error);
        span.end();
      };
    },
  };

  function linksOf({ group, topic, partition, ranges }: SettleStart) {
    const links = [];
    for (const { firstOffset, lastOffset } of ranges) {
      for (const spanContext of recent.take(group, topic, partition, firstOffset, lastOffset, linksMax - links.length))
        links.push({ context: spanContext });
    }
    return links;
  }
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof (value as Partial<PromiseLike<void>> | null | undefined)?.then === "function";
}

function countOf({ ranges }: SettleStart): number {
  return ranges.reduce((sum, { firstOffset, lastOffset }) => sum + Number(lastOffset - firstOffset) + 1, 0);
}

function ignore(): void {
  // settle spans are off
}
