import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { limits } from "@gmq/protocol";
import { type BrowsedRecord, type PortalRecord, PortalRecordSchema } from "@gmq/protocol/messages";

const headersShown = 64;

/** A record as pages show it: key, value and each header cut to `bytesMax`, and all but the first headers left out unless that is the largest record's. */
export function cutRecord(
  { partition, offset, record, appendTimeMs, masked }: BrowsedRecord,
  bytesMax: number,
): PortalRecord {
  const { key, value = new Uint8Array(), headers = [], timestampMs = 0n, expiresAtMs = 0n } = record ?? {};
  const message: MessageInitShape<typeof PortalRecordSchema> = {
    partition,
    offset,
    value: value.subarray(0, bytesMax),
    keyBytes: key?.length ?? 0,
    valueBytes: value.length,
    headers: headers.slice(0, bytesMax < limits.recordBytesMax ? headersShown : limits.headersMax).map((header) => ({
      key: header.key,
      value: header.value.subarray(0, bytesMax),
    })),
    timestampMs,
    appendTimeMs,
    expiresAtMs,
    masked,
  };
  if (key !== undefined) message.key = key.subarray(0, bytesMax);
  return create(PortalRecordSchema, message);
}
