import { applyDecorators, UseInterceptors } from "@nestjs/common";
import { EventPattern, MessagePattern } from "@nestjs/microservices";
import { failureKeeper } from "./handler-failure.js";
import type { GmqHandlerOptions } from "./handler-options.js";
import { type GmqPattern, topicOfPattern } from "./json-values.js";

/** Says which handlers are GMQ's in an app with several transports. */
export const gmqTransport: unique symbol = Symbol("gmq");

/** Where a handler's topic and options travel in Nest's extras. */
export interface GmqExtras {
  readonly gmqPattern?: GmqPattern;
  readonly gmq?: GmqHandlerOptions;
}

/**
 * Handles the records of a topic, or of the topics that a pattern (`orders.*`) matches. Its promise (or observable) is the answer: resolve is ack, throw is retry with backoff,
 * `Reject` or the last attempt is the group's dead-letter topic. A string names a topic with JSON values; `topic(…)` brings its schema. Nest's own `@EventPattern` works
 * too, but its error text then is Nest's "Internal server error", and a `Reject` is retried as any error.
 * @throws GmqError `invalid_argument` when the pattern is no topic
 */
export function GmqEventPattern(pattern: GmqPattern, options: GmqHandlerOptions = {}): MethodDecorator {
  const { name } = topicOfPattern(pattern);
  const extras: GmqExtras = { gmqPattern: pattern, gmq: options };
  return applyDecorators(EventPattern<string>(name, gmqTransport, extras), UseInterceptors(failureKeeper));
}

/** Answers requests that a `GmqClient` sends with `send`. An error is answered too, and not tried again. */
export function GmqMessagePattern(pattern: GmqPattern, options: GmqHandlerOptions = {}): MethodDecorator {
  const { name } = topicOfPattern(pattern);
  const extras: GmqExtras = { gmqPattern: pattern, gmq: options };
  return MessagePattern(name, gmqTransport, extras);
}
