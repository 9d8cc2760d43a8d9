import { GmqError, limits } from "@gmq/protocol";
import type { SettleRange } from "../engine.js";

/** The reason to refuse a range whatever was delivered, undefined when it makes sense. Code: `invalid_argument`, naming the field. */
export function checkRange({
  firstOffset,
  lastOffset,
  delayMs = 0,
  reason = "",
  errorText = "",
}: SettleRange): GmqError | undefined {
  if (firstOffset < 0n || lastOffset < firstOffset) {
    return new GmqError("invalid_argument", `the range ${firstOffset} to ${lastOffset} is empty or negative`, {
      field: "ranges.last_offset",
    });
  }
  if (!Number.isInteger(delayMs) || delayMs < 0 || delayMs > limits.retryDelayMsMax) {
    return new GmqError("invalid_argument", `a delay of ${delayMs} ms`, {
      field: "ranges.delay_ms",
      limit: `${limits.retryDelayMsMax} ms`,
    });
  }
  return (
    checkText("ranges.reason", reason, limits.rejectReasonBytesMax) ??
    checkText("ranges.error_text", errorText, limits.rejectErrorTextBytesMax)
  );
}

function checkText(field: string, text: string, bytesMax: number): GmqError | undefined {
  if (Buffer.byteLength(text) <= bytesMax) return undefined;
  return new GmqError("invalid_argument", `${field} is too long`, { field, limit: `${bytesMax} bytes` });
}
