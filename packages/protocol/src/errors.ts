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
  /** What it means for the caller, as docs/errors.md prints it. */
  readonly meaning: string;
}

/** The closed table of error codes. A code is never reused for another meaning. */
export const errorTable = {
  invalid_argument: rule(false, "invalid_argument", "A field has a value that is not allowed."),
  invalid_name: rule(false, "invalid_argument", "A topic, group or member name breaks the name rule."),
  unsupported_version: rule(
    false,
    "failed_precondition",
    "The peer speaks a protocol version that this build does not.",
  ),
  protocol_violation: rule(false, "failed_precondition", "A frame came out of turn, for example before hello."),
  malformed_frame: rule(false, "invalid_argument", "Bytes could not be parsed as the expected message."),
  frame_too_large: rule(false, "resource_exhausted", "A frame is larger than the limit."),
  record_too_large: rule(false, "invalid_argument", "A record is larger than the limit."),
  batch_too_large: rule(false, "invalid_argument", "A batch is larger than the limit, in bytes or records."),
  batch_corrupt: rule(false, "data_loss", "A batch's bytes disagree with its count or checksum."),
  unknown_codec: rule(false, "invalid_argument", "A batch names a codec that this build does not know."),
  topic_not_found: rule(false, "not_found", "There is no such topic and it may not be created by use."),
  topic_exists: rule(false, "already_exists", "A topic of this name exists already."),
  partition_not_found: rule(false, "not_found", "The topic has no such partition."),
  group_not_found: rule(false, "not_found", "There is no such group."),
  group_not_empty: rule(false, "failed_precondition", "The group still has members."),
  already_subscribed: rule(
    false,
    "already_exists",
    "The session has a subscription of this id, or for this group and topic.",
  ),
  subscription_not_found: rule(false, "not_found", "The session has no such subscription."),
  assignment_not_found: rule(false, "not_found", "The session has no such assignment."),
  not_delivered: rule(false, "failed_precondition", "A settle names records that were never delivered to this owner."),
  already_settled: rule(false, "failed_precondition", "A verdict comes too late: the record is settled already."),
  fenced: rule(false, "aborted", "Another owner took over; nothing was changed."),
  producer_fenced: rule(
    false,
    "aborted",
    "A newer epoch of this producer has written; this one may not write any more.",
  ),
  out_of_order: rule(false, "aborted", "A producer's sequence has a gap: an earlier batch is missing."),
  resource_exhausted: rule(true, "resource_exhausted", "A bound was met; try again when there is room."),
  store_unavailable: rule(true, "unavailable", "The store does not answer; nothing is known to be stored."),
  store_full: rule(true, "resource_exhausted", "The store refuses writes because it is full; nothing was stored."),
  topic_full: rule(
    true,
    "resource_exhausted",
    "The topic's byte budget is used up; nothing was stored. It opens again when records are trimmed.",
  ),
  store_read_only: rule(true, "unavailable", "The store refuses writes for now; nothing was stored."),
  unknown_outcome: rule(
    true,
    "unknown",
    "It is not known whether the request took effect; send it again with the same sequence.",
  ),
  unavailable: rule(true, "unavailable", "The peer is not reachable or is going away."),
  deadline_exceeded: rule(true, "deadline_exceeded", "The deadline passed; the outcome is unknown."),
  conflict: rule(true, "aborted", "Somebody else changed the same thing first; read it again."),
  cancelled: rule(false, "cancelled", "The caller gave up."),
  unimplemented: rule(false, "unimplemented", "The peer does not offer this call."),
  closed: rule(false, "failed_precondition", "The object was closed before the call."),
  unauthenticated: rule(false, "unauthenticated", "Credentials are missing or not valid."),
  permission_denied: rule(false, "permission_denied", "The caller may not do this."),
  schema_invalid: rule(false, "invalid_argument", "A value does not fit the topic's schema."),
  internal: rule(false, "internal", "A defect in GMQ; please report it."),
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

function rule(retryable: boolean, status: GrpcStatusName, meaning: string): ErrorRule {
  return { retryable, status, meaning };
}
