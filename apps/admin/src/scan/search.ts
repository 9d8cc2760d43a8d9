/**
 * Search: merges the partitions of a topic by append time, newest or oldest first, and keeps what matches until it has enough or its budget is used up.
 * It says what it did not reach (`complete`, `cursors`, `remaining`); an answer is never a part that looks like the whole.
 */
import { create } from "@bufbuild/protobuf";
import { GmqError, limits, partitionForKey } from "@gmq/protocol";
import {
  type BrowsedRecord,
  type PortalServiceSearchRequest,
  type PortalServiceSearchResponse,
  PortalServiceSearchResponseSchema,
  ScanOrder,
  type StartPosition,
} from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { inTurns } from "../calls/in-turns.js";
import { cutRecord } from "./cut-record.js";
import { type Browse, createBrowse, createPieceReader, type PartitionScan, sizeOf } from "./partition-scan.js";
import { createRecordFilter, createTextMatcher, type RecordFilter } from "./record-filter.js";

/** What one call may cost. */
export const searchBudget = { records: 50_000, bytes: 64 * 1024 * 1024, timeMs: 2_000, partitions: 64 } as const;
const limitDefault = 50;
const limitMax = 1_000;
const valueBytesDefault = 4_096;
/** Bytes of one answer: it has to fit a frame. */
const answerBytesMax = 4 * 1024 * 1024;
const evaluatedAtOnce = 500;
const readsAtOnce = 8;

/** Runs one search. @throws GmqError `invalid_argument`, `topic_not_found`, `partition_not_found`, `unavailable`, `resource_exhausted` */
export async function search(
  brokers: Brokers,
  request: PortalServiceSearchRequest,
  signal: AbortSignal,
): Promise<PortalServiceSearchResponse> {
  const limit = bounded("limit", request.limit, limitDefault, limitMax);
  const valueBytesMax = bounded("value_bytes_max", request.valueBytesMax, valueBytesDefault, limits.recordBytesMax);
  const newestFirst = request.order !== ScanOrder.OLDEST_FIRST;
  const browse = createBrowse(brokers, request.topic, signal);
  const scans = await openScans(brokers, browse, request, newestFirst, signal);
  const filter = request.expression.trim() === "" ? undefined : await createRecordFilter(request.expression);
  try {
    const run = createRun(scans, newestFirst, createPieceReader(browse, newestFirst));
    return await collect(run, { request, limit, valueBytesMax, filter, newestFirst });
  } finally {
    await filter?.close();
  }
}

interface Collecting {
  readonly request: PortalServiceSearchRequest;
  readonly limit: number;
  readonly valueBytesMax: number;
  readonly filter: RecordFilter | undefined;
  readonly newestFirst: boolean;
}

async function collect(run: Run, { request, limit, valueBytesMax, filter, newestFirst }: Collecting) {
  const deadline = performance.now() + searchBudget.timeMs;
  const answer = create(PortalServiceSearchResponseSchema);
  const hasText = createTextMatcher(request.text);
  const key = request.key === undefined ? undefined : new TextEncoder().encode(request.key);
  let answerBytes = 0;

  const stoppedBy = (): string => {
    if (answer.records.length >= limit) return "limit";
    if (Number(answer.scanned) >= searchBudget.records) return "records";
    if (Number(answer.bytes) >= searchBudget.bytes || answerBytes >= answerBytesMax) return "bytes";
    return performance.now() >= deadline ? "time" : "";
  };

  // The first batch is looked at in any case, so that every call gets on.
  do {
    // Without a filter nothing beyond the limit is worth reading.
    const filtered = filter !== undefined || request.text !== "" || key !== undefined;
    const batch = await run.take(filtered ? evaluatedAtOnce : Math.min(evaluatedAtOnce, limit - answer.records.length));
    if (batch.length === 0) break;
    const candidates = batch.map((taken) => hasKey(taken.record, key) && hasText(taken.record));
    const asked = batch.filter((_, index) => candidates[index]).map(({ record }) => record);
    const verdict = await filter?.evaluate(asked);
    if (verdict !== undefined && answer.firstEvaluationProblem === "") {
      answer.firstEvaluationProblem = verdict.firstProblem;
    }
    answer.unevaluated += BigInt(verdict?.unevaluated ?? 0);
    const verdicts = (verdict?.matches ?? asked.map(() => true)).values();
    for (const [index, { record, scan }] of batch.entries()) {
      answer.scanned++;
      answer.bytes += BigInt(sizeOf(record));
      scan.position = newestFirst ? record.offset : record.offset + 1n;
      scan.taken--;
      if (candidates[index] !== true || verdicts.next().value !== true) continue;
      answer.matched++;
      const cut = cutRecord(record, valueBytesMax);
      answerBytes += cut.value.length + (cut.key?.length ?? 0) + 64;
      answer.records.push(cut);
      if (answer.records.length >= limit || answerBytes >= answerBytesMax) break;
    }
  } while (stoppedBy() === "");

  const open = run.open();
  answer.cursors = open.map(({ partition, position }) => ({
    $typeName: "gmq.v1.PartitionCursor",
    partition,
    offset: position,
  }));
  answer.complete = open.length === 0;
  answer.stoppedBy = answer.complete ? "" : stoppedBy();
  answer.remaining = open.reduce(
    (sum, { position, bound }) => sum + (newestFirst ? position - bound : bound - position),
    0n,
  );
  return answer;
}

/** A scan together with how far its records have been looked at. */
interface Scanned extends PartitionScan {
  position: bigint;
  /** Taken out of the buffer and not looked at yet. */
  taken: number;
}

interface Run {
  /** The next records in scan order, fewer than asked only at the end of everything or when a piece has to be read. */
  take(count: number): Promise<{ readonly record: BrowsedRecord; readonly scan: Scanned }[]>;
  /** Partitions with something left. */
  open(): Scanned[];
}

function createRun(
  scans: readonly Scanned[],
  newestFirst: boolean,
  readPiece: (scan: PartitionScan) => Promise<void>,
): Run {
  async function refill(): Promise<void> {
    for (;;) {
      const hungry = scans.filter(({ buffer, done }) => buffer.length === 0 && !done);
      if (hungry.length === 0) return;
      // What was read has been looked at: the cursor is the position now.
      await inTurns(hungry, readsAtOnce, async (scan) => {
        scan.position = scan.cursor;
        await readPiece(scan);
        if (scan.buffer.length === 0) scan.position = scan.cursor;
      });
    }
  }

  return {
    async take(count) {
      await refill();
      const taken: { record: BrowsedRecord; scan: Scanned }[] = [];
      while (taken.length < count) {
        const scan = nextScan(scans, newestFirst);
        const record = scan?.buffer.shift();
        if (scan === undefined || record === undefined) break;
        taken.push({ record, scan });
        scan.taken++;
        // The order over partitions is known only while each of them has a head.
        if (scan.buffer.length === 0 && !scan.done) break;
      }
      return taken;
    },
    open: () => scans.filter(({ done, buffer, taken }) => !done || buffer.length > 0 || taken > 0),
  };
}

/** The partition whose head comes next by append time; the lower partition first where times are equal. */
function nextScan(scans: readonly Scanned[], newestFirst: boolean): Scanned | undefined {
  let best: Scanned | undefined;
  for (const scan of scans) {
    const head = scan.buffer[0];
    const bestHead = best?.buffer[0];
    if (head === undefined) continue;
    if (
      bestHead === undefined ||
      (newestFirst ? head.appendTimeMs > bestHead.appendTimeMs : head.appendTimeMs < bestHead.appendTimeMs)
    ) {
      best = scan;
    }
  }
  return best;
}

async function openScans(
  brokers: Brokers,
  browse: Browse,
  request: PortalServiceSearchRequest,
  newestFirst: boolean,
  signal: AbortSignal,
): Promise<Scanned[]> {
  const { partitions: stats } = await brokers.read(
    ({ admin }) => admin.describeTopic({ topic: request.topic }, { signal }),
    signal,
  );
  const cursors = new Map(request.cursors.map(({ partition, offset }) => [partition, offset]));
  const wanted = partitionsOf(request, stats.length, [...cursors.keys()]);
  const scans: Scanned[] = [];
  await inTurns(wanted, readsAtOnce, async (partition) => {
    const stat = stats.find((candidate) => candidate.partition === partition);
    if (stat === undefined) {
      throw new GmqError("partition_not_found", `${request.topic} has no partition ${partition}`, {
        field: "partitions",
      });
    }
    const { startOffset, endOffset } = stat;
    const asked = cursors.get(partition) ?? (await located(browse, partition, request.from, newestFirst, stat));
    const position = asked < startOffset ? startOffset : asked > endOffset ? endOffset : asked;
    const bound = newestFirst ? startOffset : endOffset;
    scans.push({ partition, buffer: [], done: position === bound, cursor: position, position, bound, taken: 0 });
  });
  return scans.sort((left, right) => left.partition - right.partition);
}

function partitionsOf(request: PortalServiceSearchRequest, count: number, withCursor: readonly number[]): number[] {
  if (withCursor.length > 0) return [...withCursor];
  if (request.key !== undefined) return [partitionForKey(new TextEncoder().encode(request.key), count)];
  const all = Array.from({ length: count }, (_, partition) => partition);
  const wanted = request.partitions.length > 0 ? [...new Set(request.partitions)] : all;
  if (wanted.length > searchBudget.partitions) {
    throw new GmqError("invalid_argument", `${wanted.length} partitions at once`, {
      field: "partitions",
      limit: `${searchBudget.partitions} partitions`,
    });
  }
  return wanted;
}

/** The offset that a start position means in this partition. */
async function located(
  browse: Browse,
  partition: number,
  from: StartPosition | undefined,
  newestFirst: boolean,
  { startOffset, endOffset }: { readonly startOffset: bigint; readonly endOffset: bigint },
): Promise<bigint> {
  const position = from?.position ?? { case: undefined };
  switch (position.case) {
    case undefined:
      return newestFirst ? endOffset : startOffset;
    case "earliest":
      return startOffset;
    case "latest":
      return endOffset;
    case "offset":
      return newestFirst ? position.value + 1n : position.value;
    case "timestampMs": {
      const { records } = await browse(partition, position, 1);
      return records[0]?.offset ?? endOffset;
    }
  }
}

function hasKey({ record }: BrowsedRecord, key: Uint8Array | undefined): boolean {
  if (key === undefined) return true;
  return record?.key !== undefined && Buffer.compare(record.key, key) === 0;
}

function bounded(field: string, asked: number, byDefault: number, max: number): number {
  if (asked > max) throw new GmqError("invalid_argument", `${field} is ${asked}`, { field, limit: `1 to ${max}` });
  return asked === 0 ? byDefault : asked;
}
