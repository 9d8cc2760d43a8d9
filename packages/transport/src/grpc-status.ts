import type { ErrorCode, GrpcStatusName } from "@gmq/protocol";

/** Status numbers of gRPC; Connect's `Code` has the same. Source: statuscodes of the gRPC project. */
export const statusNumbers: Readonly<Record<GrpcStatusName, number>> = {
  cancelled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
};

/** What a bare status number means when no gmq.v1.Error came with it; `internal` for one that stands for several codes. */
export function codeOfStatus(status: number): ErrorCode {
  return codes[status] ?? "internal";
}

const codes: Readonly<Record<number, ErrorCode>> = {
  1: "cancelled",
  3: "invalid_argument",
  4: "deadline_exceeded",
  7: "permission_denied",
  8: "resource_exhausted",
  12: "unimplemented",
  14: "unavailable",
  16: "unauthenticated",
};
