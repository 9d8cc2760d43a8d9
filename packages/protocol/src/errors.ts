/** gRPC status that carries an error on unary calls; frames carry the code itself. */
export type GrpcStatusName =
  | "cancelled"
  | "unknown"
  | "invalid_argument"
  | "deadline_exceeded"
  | "not_found"
  | "already_exists"
  | "permission_denied"
  | "resource_exhausted"
  | "failed_precondition"
  | "aborted"
  | "out_of_range"
  | "unimplemented"
  | "internal"
  | "unavailable"
  | "data_loss"
  | "unauthenticated";

interface ErrorRule {
  readonly retryable: boolean;
  readonly status: GrpcStatusName;
}

/** The closed table of error codes, each with what it means for the caller, as docs/errors.md prints it. A code is never reused for another meaning. */
export const errorTable = {
  /** A field has a value that is not allowed. */
  invalid_argument: rule(false, "invalid_argument"),
  /** A topic, group or member name breaks the name rule. */
  invalid_name: rule(false, "invalid_argument"),
  /** The peer speaks a protocol version that this build does not. */
  unsupported_version: rule(false, "failed_precondition"),
  /** A frame came out of turn, for example before hello. */
  protocol_violation: rule(false, "failed_precondition"),
  /** Bytes could not be parsed as the expected message. */
  malformed_frame: rule(false, "invalid_argument"),
  /** A frame is larger than the limit. */
  frame_too_large: rule(false, "resource_exhausted"),
  /** A record is larger than the limit. */
  record_too_large: rule(false, "invalid_argument"),
  /** A batch is larger than the limit, in bytes or records. */
  batch_too_large: rule(false, "invalid_argument"),
  /** A batch's bytes disagree with its count or checksum. */
  batch_corrupt: rule(false, "data_loss"),
  /** A batch names a codec that this build does not know. */
  unknown_codec: rule(false, "invalid_argument"),
  /** There is no such topic and it may not be created by use. */
  topic_not_found: rule(false, "not_found"),
  /** A topic of this name exists already. */
  topic_exists: rule(false, "already_exists"),
  /** The topic has no such partition. */
  partition_not_found: rule(false, "not_found"),
  /** There is no such group. */
  group_not_found: rule(false, "not_found"),
  /** The group still has members. */
  group_not_empty: rule(false, "failed_precondition"),
  /** The session has a subscription of this id, or for this group and topic. */
  already_subscribed: rule(false, "already_exists"),
  /** The session has no such subscription. */
  subscription_not_found: rule(false, "not_found"),
  /** The session has no such assignment. */
  assignment_not_found: rule(false, "not_found"),
  /** A settle names records that were never delivered to this owner. */
  not_delivered: rule(false, "failed_precondition"),
  /** A verdict comes too late: the record is settled already. */
  already_settled: rule(false, "failed_precondition"),
  /** Another owner took over; nothing was changed. */
  fenced: rule(false, "aborted"),
  /** A newer epoch of this producer has written; this one may not write any more. */
  producer_fenced: rule(false, "aborted"),
  /** A producer's sequence has a gap: an earlier batch is missing. */
  out_of_order: rule(false, "aborted"),
  /** A bound was met; try again when there is room. */
  resource_exhausted: rule(true, "resource_exhausted"),
  /** The store does not answer; nothing is known to be stored. */
  store_unavailable: rule(true, "unavailable"),
  /** The store refuses writes because it is full; nothing was stored. */
  store_full: rule(true, "resource_exhausted"),
  /** The topic's byte budget is used up; nothing was stored. It opens again when records are trimmed. */
  topic_full: rule(true, "resource_exhausted"),
  /** The store refuses writes for now; nothing was stored. */
  store_read_only: rule(true, "unavailable"),
  /** It is not known whether the request took effect; send it again with the same sequence. */
  unknown_outcome: rule(true, "unknown"),
  /** The peer is not reachable or is going away. */
  unavailable: rule(true, "unavailable"),
  /** The deadline passed; the outcome is unknown. */
  deadline_exceeded: rule(true, "deadline_exceeded"),
  /** Somebody else changed the same thing first; read it again. */
  conflict: rule(true, "aborted"),
  /** The caller gave up. */
  cancelled: rule(false, "cancelled"),
  /** The peer does not offer this call. */
  unimplemented: rule(false, "unimplemented"),
  /** The object was closed before the call. */
  closed: rule(false, "failed_precondition"),
  /** Credentials are missing or not valid. */
  unauthenticated: rule(false, "unauthenticated"),
  /** The caller may not do this. */
  permission_denied: rule(false, "permission_denied"),
  /** A value does not fit the topic's schema. */
  schema_invalid: rule(false, "invalid_argument"),
  /** A defect in GMQ; please report it. */
  internal: rule(false, "internal"),
} as const satisfies Record<string, ErrorRule>;

/** Every code an error can have. */
export type ErrorCode = keyof typeof errorTable;

/** Which field was refused and by what limit (with its unit), and what caused it. */
export interface GmqErrorContext {
  readonly field?: string;
  readonly limit?: string;
  readonly cause?: unknown;
}

const brand: unique symbol = Symbol.for("gmq.error") as never;

/** The one error of GMQ: `code` decides, `retryable` tells whether the same request may be sent again safely. */
export class GmqError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** The refused field, "" when none. */
  readonly field: string;
  /** The limit that was met, with its unit, "" when none. */
  readonly limit: string;
  readonly [brand] = true;

  constructor(code: ErrorCode, message: string, context: GmqErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = "GmqError";
    this.code = code;
    this.retryable = errorTable[code].retryable;
    this.field = context.field ?? "";
    this.limit = context.limit ?? "";
  }

  /** True when `error` is a GmqError (of this code), also when it comes from another copy of this package. */
  static is(error: unknown, code?: ErrorCode): error is GmqError {
    if (typeof error !== "object" || error === null || !(brand in error)) return false;
    return code === undefined || (error as GmqError).code === code;
  }

  /** The one funnel: a GmqError as it is, an abort as `cancelled`, a time-out as `deadline_exceeded`, anything else as `internal`. */
  static from(error: unknown): GmqError {
    if (GmqError.is(error)) return error;
    if (error instanceof Error) {
      if (error.name === "AbortError") return new GmqError("cancelled", error.message, { cause: error });
      if (error.name === "TimeoutError") return new GmqError("deadline_exceeded", error.message, { cause: error });
      return new GmqError("internal", error.message, { cause: error });
    }
    return new GmqError("internal", String(error), { cause: error });
  }
}

/** True for a text that is a code of the table. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}

function rule(retryable: boolean, status: GrpcStatusName): ErrorRule {
  return { retryable, status };
}
