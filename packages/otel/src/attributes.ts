/**
 * Attribute names of OpenTelemetry's semantic conventions for messaging (1.43, in development; opentelemetry.io/docs/specs/semconv/messaging). Kept here, as the package of
 * these names declares those in development to be copied.
 */
export const attributes = {
  system: "messaging.system",
  operationName: "messaging.operation.name",
  operationType: "messaging.operation.type",
  destination: "messaging.destination.name",
  partition: "messaging.destination.partition.id",
  group: "messaging.consumer.group.name",
  batchMessages: "messaging.batch.message_count",
  messageId: "messaging.message.id",
  errorType: "error.type",
  key: "messaging.gmq.message.key",
  offset: "messaging.gmq.offset",
  attempt: "messaging.gmq.message.attempt",
  verbs: "messaging.gmq.settle.verbs",
} as const;

/** `messaging.system` of every span. */
export const system = "gmq";
