import { GmqError, limits } from "@gmq/protocol";

/** What a consumer allows to be delivered to it, in records and in bytes; shared by the dispatchers of one subscription. */
export interface Credit {
  readonly records: number;
  readonly bytes: number;
  /** Both are above zero: at least one record may go out. Its bytes may overdraw the bytes; the next grant pays that back first. */
  readonly open: boolean;
  /** Since when it is not open, by `Date.now()`; undefined while it is. */
  readonly closedSinceMs: number | undefined;
  /** @throws GmqError `invalid_argument` when a grant is zero in both, or the sum passes its limit; nothing is granted then */
  grant(records: number, bytes: number): void;
  spend(records: number, bytes: number): void;
}

/** Makes credit, none at first. */
export function createCredit(): Credit {
  let records = 0;
  let bytes = 0;
  let closedSinceMs: number | undefined = Date.now();
  return {
    get records() {
      return records;
    },
    get bytes() {
      return bytes;
    },
    get open() {
      return records > 0 && bytes > 0;
    },
    get closedSinceMs() {
      return closedSinceMs;
    },
    grant(moreRecords, moreBytes) {
      if (moreRecords === 0 && moreBytes === 0)
        throw refused("credit.records", "a grant of nothing", "1 record or 1 byte");
      if (records + moreRecords > limits.creditRecordsMax) {
        throw refused(
          "credit.records",
          `credit of ${records + moreRecords} records`,
          `${limits.creditRecordsMax} records`,
        );
      }
      if (bytes + moreBytes > limits.creditBytesMax)
        throw refused("credit.bytes", `credit of ${bytes + moreBytes} bytes`, `${limits.creditBytesMax} bytes`);
      records += moreRecords;
      bytes += moreBytes;
      if (records > 0 && bytes > 0) closedSinceMs = undefined;
    },
    spend(spentRecords, spentBytes) {
      records -= spentRecords;
      bytes -= spentBytes;
      if (records <= 0 || bytes <= 0) closedSinceMs ??= Date.now();
    },
  };
}

function refused(field: string, message: string, limit: string): GmqError {
  return new GmqError("invalid_argument", message, { field, limit });
}
