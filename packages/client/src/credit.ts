/** What a consumer may hold. Credit goes back in quarters of the window: one small frame for many messages, and three quarters are out meanwhile. */
import type { RawMessage } from "./message.js";

/** Counts what is held. */
export interface Credit {
  delivered(messages: readonly RawMessage[]): void;
  done(message: RawMessage): void;
  /** Grants what is not held, to a broker that knows of none. */
  grantAll(): void;
  /** Grants what is done, when it is a quarter of the window. */
  grantDue(): void;
  /** Delivered and not done. */
  readonly heldRecords: number;
  readonly doneRecords: number;
  readonly isUsedUp: boolean;
}

/** Makes the credit of a window; `send` tells the broker. */
export function createCredit(
  window: { readonly records: number; readonly bytes: number },
  send: (records: number, bytes: number) => void,
): Credit {
  let heldRecords = 0;
  let heldBytes = 0;
  /** Done and not granted again. */
  let freeRecords = 0;
  let freeBytes = 0;
  let doneRecords = 0;

  function grant(records: number, bytes: number): void {
    freeRecords = 0;
    freeBytes = 0;
    send(records, bytes);
  }

  return {
    delivered(messages) {
      for (const { bytes } of messages) heldBytes += bytes;
      heldRecords += messages.length;
    },
    done({ bytes }) {
      heldRecords--;
      doneRecords++;
      heldBytes -= bytes;
      freeRecords++;
      freeBytes += bytes;
    },
    grantAll: () => grant(Math.max(1, window.records - heldRecords), Math.max(1, window.bytes - heldBytes)),
    grantDue() {
      const isDue = freeRecords * 4 >= window.records || freeBytes * 4 >= window.bytes;
      if (isDue && freeRecords > 0) grant(freeRecords, freeBytes);
    },
    get heldRecords() {
      return heldRecords;
    },
    get doneRecords() {
      return doneRecords;
    },
    get isUsedUp() {
      return heldRecords >= window.records || heldBytes >= window.bytes;
    },
  };
}
