import { GmqError, limits } from "@gmq/protocol";
import type { LogEntry, LogStore, TopicPartition } from "@gmq/storage";

/** Pending entries lie close together as a rule. */
const readAheadEntries = 256;

/**
 * The pending entry at an offset and those behind it, or where the log begins now when that is above it.
 * @throws GmqError `batch_corrupt` when it is gone though nothing was trimmed, and the store's errors
 */
export async function readPending(
  log: Pick<LogStore, "read">,
  { topic, partition }: TopicPartition,
  baseOffset: bigint,
): Promise<readonly LogEntry[] | { readonly startOffset: bigint }> {
  const from = { offset: baseOffset };
  const bounds = { entriesMax: readAheadEntries, bytesMax: limits.fetchBytesDefault };
  const { entries, startOffset } = await log.read({ topic, partition, from, ...bounds });
  if (baseOffset < startOffset) return { startOffset };
  if (entries[0]?.baseOffset === baseOffset) return entries;
  throw new GmqError("batch_corrupt", `the entry at offset ${baseOffset} of ${topic}/${partition} is gone`, {
    field: "offset",
  });
}
