/** Records of a topic as they lie there, without any effect on groups. */
import type { BrowsedRecord, CallOptions, Gmq } from "@gmq/client";
import type { From } from "./arguments.js";

/** What to look at. */
export interface BrowsePlan {
  /** Default: all. */
  readonly partitions: readonly number[] | undefined;
  readonly from: From;
  /** From the end backwards; `from` does not count then. */
  readonly newest: boolean;
  /** Only records with this key. */
  readonly key: string | undefined;
  /** Only records that hold this text in key, value or a header, in any case of letters. */
  readonly contains: string | undefined;
}

interface Scan {
  readonly partition: number;
  readonly start: bigint;
  /** The end that the partition had at the beginning: what is appended later is not looked at. */
  readonly end: bigint;
  /** Where to read on: the next offset, or the one below which to read. */
  cursor: From;
  /** Read and not yet yielded, the next one last. */
  readonly buffer: BrowsedRecord[];
  done: boolean;
}

const pieceRecords = 200;

/** Yields what was there when it began, by time over all partitions and in order in each. @throws GmqError `topic_not_found`, `partition_not_found` */
export async function* browsedRecords(
  gmq: Gmq,
  topic: string,
  plan: BrowsePlan,
  call: CallOptions,
): AsyncGenerator<BrowsedRecord> {
  const { partitionStats: partitions } = await gmq.admin.describeTopic(topic, call);
  const wanted = plan.partitions ?? partitions.map(({ partition }) => partition);
  const scans = wanted.map((partition): Scan => {
    const { startOffset = 0n, endOffset = 0n } = partitions.find((one) => one.partition === partition) ?? {};
    const isKnown = partitions.some((one) => one.partition === partition);
    const cursor = plan.newest ? { offset: endOffset } : plan.from;
    // One that is not there is asked for all the same: the broker says so.
    return { partition, start: startOffset, end: isKnown ? endOffset : 1n, cursor, buffer: [], done: false };
  });
  const isWanted = matcher(plan);
  for (;;) {
    for (const scan of scans) {
      while (scan.buffer.length === 0 && !scan.done) {
        if (plan.newest) await readBackward(gmq, topic, scan, call);
        else await readForward(gmq, topic, scan, call);
      }
    }
    const next = nextOf(scans, plan.newest)?.buffer.pop();
    if (next === undefined) return;
    if (isWanted(next)) yield next;
  }
}

function nextOf(scans: readonly Scan[], newest: boolean): Scan | undefined {
  let best: Scan | undefined;
  for (const scan of scans) {
    const time = scan.buffer.at(-1)?.timestamp;
    const bestTime = best?.buffer.at(-1)?.timestamp;
    if (time !== undefined && (bestTime === undefined || (newest ? time > bestTime : time < bestTime))) best = scan;
  }
  return best;
}

async function readForward(gmq: Gmq, topic: string, scan: Scan, call: CallOptions): Promise<void> {
  const { partition, cursor, end } = scan;
  const { records, nextOffset } = await gmq.admin.browse(topic, {
    ...call,
    partition,
    from: cursor,
    limit: pieceRecords,
  });
  scan.buffer.push(...records.filter(({ offset }) => offset < end).toReversed());
  scan.cursor = { offset: nextOffset };
  scan.done = records.length === 0 || nextOffset >= end;
}

async function readBackward(gmq: Gmq, topic: string, scan: Scan, call: CallOptions): Promise<void> {
  const { partition, start } = scan;
  const below = (scan.cursor as { readonly offset: bigint }).offset;
  let limit = pieceRecords;
  for (;;) {
    const low = below - BigInt(limit) > start ? below - BigInt(limit) : start;
    if (low >= below) break;
    const { records, nextOffset } = await gmq.admin.browse(topic, { ...call, partition, from: { offset: low }, limit });
    const found = records.filter(({ offset }) => offset < below);
    // An answer is bounded in bytes: what lies right below may be missing, so less is asked for.
    if (records.length > 0 && nextOffset < below && found.length === records.length && limit > 1) {
      limit = Math.max(1, Math.floor(limit / 4));
      continue;
    }
    scan.buffer.push(...found);
    scan.cursor = { offset: low };
    scan.done = low <= start;
    return;
  }
  scan.done = true;
}

function matcher({ key, contains }: BrowsePlan): (record: BrowsedRecord) => boolean {
  const decoder = new TextDecoder();
  const text = contains?.toLowerCase() ?? "";
  const holds = (bytes: Uint8Array): boolean => decoder.decode(bytes).toLowerCase().includes(text);
  return (record) => {
    if (key !== undefined && (record.key === undefined || decoder.decode(record.key) !== key)) return false;
    if (text === "" || (record.key !== undefined && holds(record.key)) || holds(record.value)) return true;
    return record.headers.some((header) => header.key.toLowerCase().includes(text) || holds(header.value));
  };
}
