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
  return new CountedCredit();
}

/** A class: there is one for each idle consumer, and getters of a literal cost each object a table of its own. */
class CountedCredit implements Credit {
  records = 0;
  bytes = 0;
  closedSinceMs: number | undefined = Date.now();

  get open(): boolean {
    return this.records > 0 && this.bytes > 0;
  }

  grant(records: number, bytes: number): void {
    if (records === 0 && bytes === 0) throw refused("credit.records", "a grant of nothing", "1 record or 1 byte");
    if (this.records + records > limits.creditRecordsMax) {
      throw refused(
        "credit.records",
        `credit of ${this.records + records} records`,
        `${limits.creditRecordsMax} records`,
      );
    }
    if (this.bytes + bytes > limits.creditBytesMax)
      throw refused("credit.bytes", `credit of ${this.bytes + bytes} bytes`, `${limits.creditBytesMax} bytes`);
    this.records += records;
    this.bytes += bytes;
    if (this.open) this.closedSinceMs = undefined;
  }

  spend(records: number, bytes: number): void {
    this.records -= records;
    this.bytes -= bytes;
    if (!this.open) this.closedSinceMs ??= Date.now();
  }
}

function refused(field: string, message: string, limit: string): GmqError {
  return new GmqError("invalid_argument", message, { field, limit });
}
