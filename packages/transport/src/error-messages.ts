/** Errors as frames and results carry them. Apart from Connect's errors, so that whoever speaks frames alone does not load Connect. */
import { create } from "@bufbuild/protobuf";
import { type Error as ErrorMessage, ErrorSchema } from "@gmq/protocol/messages";
import { GmqError, isErrorCode } from "@gmq/protocol/portable";

/** A frame's or result's error message for `error`. */
export function errorToMessage(error: GmqError): ErrorMessage {
  const { code, message, retryable, field, limit } = error;
  return create(ErrorSchema, { code, message, retryable, field, limit });
}

/** The GmqError that a message tells of; a code that this build does not know becomes `internal` and is named in the text. */
export function errorFromMessage(message: ErrorMessage): GmqError {
  const { code, field, limit } = message;
  if (isErrorCode(code)) return new GmqError(code, message.message, { field, limit });
  return new GmqError("internal", `${message.message} (code ${JSON.stringify(code)})`, { field, limit });
}
