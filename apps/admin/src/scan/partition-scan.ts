/** Reads one partition piece by piece in either direction, without any effect on groups. */
import type { BrowsedRecord, StartPosition } from "@gmq/protocol/messages";
import type { BrokerClients, Brokers } from "../calls/brokers.js";

/** Asks a partition for records; the signal ends the call. */
export type Browse = (
  partition: number,
  from: StartPosition["position"],
  limit: number,
) => Promise<Awaited<ReturnType<BrokerClients["admin"]["browseRecords"]>>>;

/** Browses a topic through any broker. */
export function createBrowse(brokers: Brokers, topic: string, signal: AbortSignal): Browse {
  return (partition, position, limit) =>
    brokers.read(
      ({ admin }) => admin.browseRecords({ topic, partition, from: { position }, limit }, { signal }),
      signal,
    );
}

/** A partition that is being read. Records come in scan order. */
export interface PartitionScan {
  readonly partition: number;
  /** Read and not yet taken. */
  readonly buffer: BrowsedRecord[];
  /** Nothing is left beyond the buffer. */
  done: boolean;
  /** Where to go on once the buffer is used up: the next offset to read, or the one below which to read. */
  cursor: bigint;
  /** Where the scan ends: the partition's end when it began, or its start. */
  readonly bound: bigint;
}

/** Records of a first piece: bodies may be large, and what they weigh is not known yet. */
const firstPieceRecords = 32;
const pieceBytesWanted = 1024 * 1024;
const pieceRecordsMax = 1_000;

/** Reads the next piece of a partition into its buffer. */
export type ReadPiece = (scan: PartitionScan) => Promise<void>;

/** Makes the reader of all partitions of one scan; it learns from what it reads how large the next piece may be. */
export function createPieceReader(browse: Browse, newestFirst: boolean): ReadPiece {
  let recordsSeen = 0;
  let bytesSeen = 0;

  function pieceRecords(): number {
    if (recordsSeen === 0) return firstPieceRecords;
    const fitting = Math.floor(pieceBytesWanted / Math.max(1, bytesSeen / recordsSeen));
    return Math.min(pieceRecordsMax, Math.max(1, fitting));
  }

  function note(records: readonly BrowsedRecord[]): void {
    recordsSeen += records.length;
    for (const record of records) bytesSeen += sizeOf(record);
  }

  async function forward(scan: PartitionScan): Promise<void> {
    const { records, nextOffset } = await browse(
      scan.partition,
      { case: "offset", value: scan.cursor },
      pieceRecords(),
    );
    note(records);
    const wanted = records.filter(({ offset }) => offset < scan.bound);
    scan.buffer.push(...wanted);
    scan.cursor = nextOffset > scan.cursor ? nextOffset : scan.bound;
    scan.done = records.length === 0 || scan.cursor >= scan.bound;
  }

  async function backward(scan: PartitionScan): Promise<void> {
    let count = BigInt(pieceRecords());
    for (;;) {
      const low = scan.cursor - count > scan.bound ? scan.cursor - count : scan.bound;
      const wanted = Number(scan.cursor - low);
      const { records, nextOffset } = await browse(scan.partition, { case: "offset", value: low }, wanted);
      note(records);
      const below = records.filter(({ offset }) => offset < scan.cursor);
      // The broker bounds its answer in bytes: what lies right below the cursor may be missing then, so ask for less.
      const reached = records.length === 0 || nextOffset >= scan.cursor || records.length > below.length;
      if (!reached && wanted > 1) {
        count = BigInt(Math.max(1, Math.floor(wanted / 4)));
        continue;
      }
      scan.buffer.push(...below.reverse());
      scan.cursor = low;
      scan.done = low <= scan.bound;
      return;
    }
  }

  return newestFirst ? backward : forward;
}

/** Bytes of key and value. */
export function sizeOf({ record }: BrowsedRecord): number {
  return (record?.key?.length ?? 0) + (record?.value.length ?? 0);
}
