import type { Message } from "@gmq/client";
import {
  type Context,
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { attributes, system } from "./attributes.js";

/** How a message's span belongs to that of its sender. Both ways it has a link to it. */
export type Relation = "child" | "link";

/** Where the sender was when it sent the message: what its headers say. */
export function senderOf(message: Pick<Message<unknown>, "headers">): Context {
  return propagation.extract(context.active(), message.headers);
}

/**
 * Runs `work` in a span for the message: for messages that are read by hand (`gmq.messages`, `receive`); handlers of `subscribe` have theirs already.
 * What `work` throws is recorded and thrown on.
 */
export function processMessage<Result>(
  message: Message<unknown>,
  group: string,
  work: () => Promise<Result>,
  tracer: Tracer = trace.getTracer("@gmq/otel"),
): Promise<Result> {
  const { span, inside } = startProcessing(tracer, message, group, "child");
  return context
    .with(inside, async () => work())
    .then(
      (result) => {
        span.end();
        return result;
      },
      (error: unknown) => {
        failSpan(span, error);
        span.end();
        throw error;
      },
    );
}

/** Starts the span of one attempt at a message; `inside` is the context for what is done with it. */
export function startProcessing(
  tracer: Tracer,
  message: Message<unknown>,
  group: string,
  relation: Relation,
): { readonly span: Span; readonly inside: Context } {
  const sender = senderOf(message);
  const linked = trace.getSpanContext(sender);
  const parent = relation === "child" && linked !== undefined ? sender : context.active();
  const span = tracer.startSpan(
    `process ${message.topic}`,
    {
      kind: SpanKind.CONSUMER,
      links: linked === undefined ? [] : [{ context: linked }],
      attributes: {
        [attributes.system]: system,
        [attributes.operationName]: "process",
        [attributes.operationType]: "process",
        [attributes.destination]: message.topic,
        [attributes.partition]: String(message.partition),
        [attributes.group]: group,
        [attributes.messageId]: `${message.topic}/${message.partition}/${message.offset}`,
        [attributes.offset]: String(message.offset),
        [attributes.attempt]: message.attempt,
        ...(message.key === undefined ? {} : { [attributes.key]: message.key }),
      },
    },
    parent,
  );
  return { span, inside: trace.setSpan(context.active(), span) };
}

/** Marks a span as failed. */
export function failSpan(span: Span, error: unknown): void {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  span.setAttribute(attributes.errorType, code ?? (error instanceof Error ? error.name : "error"));
  if (error instanceof Error) span.recordException(error);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}
