/** Headers that tie a request and its replies together. A request bears the first two, a reply the second and, as they are needed, the others. */
export const replyHeaders = {
  replyTo: "gmq-reply-to",
  correlationId: "gmq-correlation-id",
  /** The value is the error. */
  isError: "gmq-reply-error",
  /** No reply comes after this one. */
  isLast: "gmq-reply-last",
  /** There is no value: the stream of replies ended without one more. */
  isEmpty: "gmq-reply-empty",
} as const;
