/** Goes through what a search means from the beginning to the end that it had when the job began, in pieces, whole records, oldest first unless asked otherwise. */
import { create } from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import {
  type PartitionCursor,
  PartitionCursorSchema,
  type PortalRecord,
  type PortalServiceSearchRequest,
  PortalServiceSearchRequestSchema,
  ScanOrder,
} from "@gmq/protocol/messages";
import { search } from "../scan/search.js";
import type { JobRun } from "./job-run.js";

/** Where a scan is, as text. */
interface ScanPlace {
  /** Ends by partition when the job began: what came later is not part of it. */
  readonly ends: readonly (readonly [partition: number, offset: string])[];
  /** Undefined: at the beginning. */
  readonly cursors?: readonly (readonly [partition: number, offset: string])[];
}

/** A piece of what was found. */
export interface Found {
  readonly records: readonly PortalRecord[];
  /** Where to go on after this piece. */
  readonly checkpoint: string;
  /** True: nothing is left. */
  readonly complete: boolean;
}

const recordsAtOnce = 200;

/** @throws GmqError `invalid_argument` when there is nothing to search */
export function checkSearch(request: PortalServiceSearchRequest | undefined): PortalServiceSearchRequest {
  if (request === undefined || request.topic === "") {
    throw new GmqError("invalid_argument", "no topic is named", { field: "search.topic" });
  }
  return request;
}

/** Yields pieces until everything was looked at, or until `recordsMax` were found. Raises `scanned` and `unevaluated` of the job. */
export async function* scanAll(
  run: JobRun,
  asked: PortalServiceSearchRequest,
  options: { readonly newestFirst: boolean; readonly recordsMax: number; readonly from: string },
): AsyncGenerator<Found> {
  const { newestFirst, recordsMax } = options;
  const place: ScanPlace =
    options.from === "" ? { ends: await endsOf(run, asked.topic) } : (JSON.parse(options.from) as ScanPlace);
  const ends = new Map(place.ends.map(([partition, offset]) => [partition, BigInt(offset)]));
  let cursors = place.cursors?.map(cursorOf);
  let found = 0;
  while (found < recordsMax && cursors?.length !== 0) {
    run.signal.throwIfAborted();
    const request = create(PortalServiceSearchRequestSchema, {
      ...asked,
      order: newestFirst ? ScanOrder.NEWEST_FIRST : ScanOrder.OLDEST_FIRST,
      limit: Math.min(recordsAtOnce, recordsMax - found),
      valueBytesMax: limits.recordBytesMax,
      cursors: cursors ?? [],
    });
    const answer = await search(run.brokers, request, run.signal);
    const isMeant = ({ partition, offset }: { readonly partition: number; readonly offset: bigint }): boolean =>
      offset < (ends.get(partition) ?? 0n);
    const records = answer.records.filter(isMeant);
    run.job.scanned += answer.scanned;
    run.job.unevaluated += answer.unevaluated;
    found += records.length;
    // Going forwards a partition is done at the end it had; backwards at its start, which the search itself knows.
    cursors = answer.cursors.filter((cursor) => newestFirst || isMeant(cursor));
    const next: ScanPlace = {
      ends: place.ends,
      cursors: cursors.map(({ partition, offset }) => [partition, String(offset)]),
    };
    yield { records, checkpoint: JSON.stringify(next), complete: cursors.length === 0 };
  }
}

async function endsOf(run: JobRun, topic: string): Promise<ScanPlace["ends"]> {
  const { partitions } = await run.brokers.read(({ admin }) => admin.describeTopic({ topic }), run.signal);
  return partitions.map(({ partition, endOffset }) => [partition, String(endOffset)] as const);
}

function cursorOf([partition, offset]: readonly [number, string]): PartitionCursor {
  return create(PartitionCursorSchema, { partition, offset: BigInt(offset) });
}
