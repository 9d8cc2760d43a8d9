/** Engine values to wire messages and back; bytes are passed on, never copied. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { checkName, type DecodedRecord, GmqError, limits, redriveGroup } from "@gmq/protocol";
import {
  type PublishBatches,
  type PublishResultSchema,
  type SettleRange as RangeMessage,
  type Record as RecordMessage,
  RecordSchema,
  Verb,
} from "@gmq/protocol/messages";
import type { AppendOutcome, SettleRange } from "@gmq/storage";
import { errorToMessage } from "@gmq/transport";

export function publishResult(outcome: AppendOutcome): MessageInitShape<typeof PublishResultSchema> {
  if (!outcome.ok) return { error: errorToMessage(outcome.error) };
  const { firstOffset, duplicate, appendTimeMs, scheduled = false } = outcome;
  return { firstOffset, duplicate, appendTimeMs: BigInt(appendTimeMs), scheduled };
}

const verbs = {
  [Verb.ACK]: "ack",
  [Verb.RETRY]: "retry",
  [Verb.RELEASE]: "release",
  [Verb.REJECT]: "reject",
} as const;

/** A consumer's range. @throws GmqError `invalid_argument` naming the field */
export function settleRange(message: RangeMessage): SettleRange {
  const { firstOffset, lastOffset, verb, delayMs, inPlace, reason, errorText } = message;
  if (firstOffset < 0n || lastOffset < firstOffset) {
    throw new GmqError("invalid_argument", `the range ${firstOffset} to ${lastOffset} is empty or negative`, {
      field: "ranges.last_offset",
    });
  }
  if (verb === Verb.UNSPECIFIED || !(verb in verbs)) {
    throw new GmqError("invalid_argument", `verb ${verb} is not known`, {
      field: "ranges.verb",
      limit: "1 ack, 2 retry, 3 release, 4 reject",
    });
  }
  if (delayMs > limits.retryDelayMsMax) {
    throw new GmqError("invalid_argument", `a delay of ${delayMs} ms`, {
      field: "ranges.delay_ms",
      limit: `${limits.retryDelayMsMax} ms`,
    });
  }
  if (verb === Verb.REJECT) {
    checkText("ranges.reason", reason, limits.rejectReasonBytesMax);
    checkText("ranges.error_text", errorText, limits.rejectErrorTextBytesMax);
    return { firstOffset, lastOffset, verb: "reject", reason, errorText };
  }
  return { firstOffset, lastOffset, verb: verbs[verb], delayMs, inPlace };
}

/** @throws GmqError `invalid_argument` */
function checkText(field: string, text: string, bytesMax: number): void {
  if (Buffer.byteLength(text) <= bytesMax) return;
  throw new GmqError("invalid_argument", `${field} is too long`, { field, limit: `${bytesMax} bytes` });
}

/** A group that anybody may consume as. @throws GmqError `invalid_name`, `invalid_argument` for the group that keeps what was redriven */
export function checkGroup(group: string): string {
  if (group !== redriveGroup) return checkName("group", group);
  throw new GmqError(
    "invalid_argument",
    `the group ${redriveGroup} is GMQ's own: it keeps which dead letters are open`,
    {
      field: "group",
      limit: `any other name than ${redriveGroup}`,
    },
  );
}

/** A record as admin calls show it. */
export function recordMessage({ key, value, headers, timestampMs, expiresAtMs }: DecodedRecord): RecordMessage {
  return create(RecordSchema, {
    ...(key === undefined ? {} : { key }),
    value,
    headers: headers.map((header) => ({ ...header })),
    timestampMs: BigInt(timestampMs),
    expiresAtMs: BigInt(expiresAtMs),
  });
}

/** A client id or version as a hello states it. @throws GmqError `invalid_argument` */
export function checkClientText(field: string, text: string): void {
  checkText(field, text, limits.clientTextBytesMax);
}

/** The batches of a frame, of which none is missing. @throws GmqError `malformed_frame`, `invalid_argument` */
export function wholeBatches(batches: PublishBatches["batches"]) {
  if (batches.length === 0) {
    const limit = "1 batch or more";
    throw new GmqError("invalid_argument", "nothing to publish", { field: "publish.batches", limit });
  }
  return batches.map(({ partition, batch }) => {
    if (batch !== undefined) return { partition, batch };
    throw new GmqError("malformed_frame", "a batch is missing", { field: "publish.batches.batch" });
  });
}
