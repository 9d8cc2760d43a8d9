import type { EntryMeta } from "@gmq/protocol";

/** Bytes of an entry's body. */
export function bodyBytesOf({ batches }: EntryMeta): number {
  return batches.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
}
