/** Values that do not fit their topic's schema or codec, and what the consumer's policy makes of them. */
import { GmqError } from "@gmq/protocol/portable";
import type { OnInvalid } from "./consumer-options.js";
import type { RawMessage, Settlement } from "./message.js";
import { rejection, rejectReasons } from "./reject-text.js";
import type { ValueCodec } from "./topic.js";

/** Thrown inside the client for a value that cannot be read, so that it is told apart from what a handler throws. */
export class InvalidValue extends Error {
  /** `schema_invalid`. */
  readonly problem: GmqError;

  constructor(problem: GmqError) {
    super(problem.message);
    this.problem = problem;
  }
}

/** Reads a message's value; a promise only when the codec gives one. @throws InvalidValue whatever the codec throws */
export function decodeOrThrow<Value>(codec: ValueCodec<never, Value>, raw: RawMessage): Value | Promise<Value> {
  let decoded: Value | Promise<Value>;
  try {
    decoded = codec.decode(raw.valueBytes);
  } catch (cause) {
    throw invalid(raw, cause);
  }
  if (!(decoded instanceof Promise)) return decoded;
  return decoded.catch((cause: unknown) => {
    throw invalid(raw, cause);
  });
}

function invalid({ assignment, offset }: RawMessage, cause: unknown): InvalidValue {
  if (GmqError.is(cause, "schema_invalid")) return new InvalidValue(cause);
  const where = `${assignment.topic}/${assignment.partition} at offset ${offset}`;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `the value of ${where} cannot be read: ${reason}`;
  return new InvalidValue(new GmqError("schema_invalid", message, { field: "value", cause }));
}

/** What becomes of a record that cannot be read; undefined: the consumer ends and leaves it. */
export function settlementOfInvalid(onInvalid: OnInvalid, error: GmqError): Settlement | undefined {
  if (onInvalid === "fail") return undefined;
  return onInvalid === "skip" ? { verb: "ack" } : rejection(rejectReasons.invalid, error);
}
