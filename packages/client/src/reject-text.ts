import { limits } from "@gmq/protocol/portable";
import { Reject } from "./reject.js";

/** Why records are rejected without the handler asking for it, as dead letters are grouped by. */
export const rejectReasons = {
  maxAttempts: "max attempts",
  handBacks: "hand backs exceeded",
  invalid: "schema invalid",
  /** The handler named no reason. */
  unnamed: "rejected",
} as const;

/** What becomes of a record that is given up. */
export interface Rejection {
  readonly verb: "reject";
  readonly reason: string;
  readonly errorText: string;
}

/** A rejection whose texts fit the wire. */
export function rejection(reason: string, error: unknown): Rejection {
  return {
    verb: "reject",
    reason: cutText(reason === "" ? rejectReasons.unnamed : reason, limits.rejectReasonBytesMax),
    errorText: cutText(errorText(error), limits.rejectErrorTextBytesMax),
  };
}

/** An error in one text: its name, message and causes. */
function errorText(error: unknown): string {
  if (error === undefined) return "";
  // The reason stands beside the text; what is behind it is the news.
  if (Reject.is(error)) return errorText(error.cause);
  if (!(error instanceof Error)) return String(error);
  const own = `${error.name}: ${error.message}`;
  return error.cause instanceof Error ? `${own} (${errorText(error.cause)})` : own;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Cuts to a number of bytes, between characters. */
function cutText(text: string, bytesMax: number): string {
  const bytes = encoder.encode(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return decoder.decode(bytes.subarray(0, end));
}
