import { decodeEntryMeta } from "@gmq/protocol";
import type { LogEntry, ReadRequest, ReadResult, StartPosition, TopicPartition } from "../engine.js";
import type { EndOffsets } from "../log/end-offsets.js";
import { bodyBytesOf } from "../log/entry-bytes.js";
import type { EntryHead } from "../retention/trim-store.js";
import type { RedisConnection } from "./connection.js";
import { baseOffsetOfId, type Keys } from "./keys.js";
import type { RecentEntries } from "./recent-entries.js";
import { RedisCommand } from "./redis-command.js";
import { rethrow } from "./redis-errors.js";
import { type RedisTopics, readEnds } from "./redis-topics.js";
import { itemsOf, type Scripts, textOf } from "./scripts.js";

/** Reading entries of a Redis store. */
export interface RedisReads {
  read(request: ReadRequest): Promise<ReadResult>;
  /** Entries whose base offset is at or after `from`: at least one when there is any, else as many as fit. `atEnd`: there were no more. `group`: for whom, when it has claimed the partition: only then memory is asked. */
  entriesFrom(
    partition: TopicPartition,
    from: bigint,
    bounds: ReadBounds,
    group?: string,
  ): Promise<{ readonly entries: LogEntry[]; readonly atEnd: boolean }>;
  /** The partition was claimed: its log may be another one than before. */
  claimed(partition: TopicPartition): void;
  /** Where the log ends. Costs Redis a copy of the last entry. */
  end(partition: TopicPartition): Promise<bigint>;
  /** The base offset of the entry that holds the position, the end offset when none does. */
  locate(partition: TopicPartition, position: StartPosition): Promise<bigint>;
  /** The first entry that passes a test which, once passed, is passed by every later entry. */
  firstEntry(partition: TopicPartition, test: (head: EntryHead) => boolean): Promise<EntryHead | undefined>;
  /** The last entry that begins at or before an offset. */
  entryBefore(partition: TopicPartition, offset: bigint): Promise<EntryHead | undefined>;
}

export interface ReadBounds {
  readonly entriesMax: number;
  readonly recordsMax: number;
  readonly bytesMax: number;
}

/** Entries asked for when nothing is known of their size. */
const firstCount = 4;
/** Weight of the newest reading in the average entry size. */
const newestWeight = 0.5;

/** Makes the reader. Bodies come on `connection` by XRANGE, those that were just appended or read here from memory; what is only looked at passes as entry heads. */
export function createRedisReads(
  connection: RedisConnection,
  scripts: Scripts,
  keys: Keys,
  topics: RedisTopics,
  ends: EndOffsets,
  recent: RecentEntries,
): RedisReads {
  const entryBytes = new Map<string, number>();

  async function entriesFrom(partition: TopicPartition, from: bigint, bounds: ReadBounds, group?: string) {
    const log = keys.log(partition);
    const taken = createTaking(from, bounds);
    const { entries } = taken;
    const found = group === undefined ? undefined : recent.at(log, from, group);
    if (found !== undefined) {
      let at = found.index;
      while (at < found.entries.length && taken.take(found.entries[at] as LogEntry)) at++;
      // The end is as this process has heard of it; a signal tells of more.
      const atEnd = at === found.entries.length && found.endsLog && taken.next >= (ends.get(partition) ?? 0n);
      return { entries, atEnd };
    }
    const { life } = recent;
    for (;;) {
      const average = entryBytes.get(log);
      const wanted = average === undefined ? firstCount : Math.ceil(taken.roomBytes / average);
      const count = Math.max(1, Math.min(wanted, bounds.entriesMax - entries.length));
      const range = [log, `${taken.next}-0`, "+", "COUNT", String(count)];
      const reply = await connection.run((redis) => new RedisCommand("xrange", range).send(redis)).catch(rethrow);
      const items = reply as readonly (readonly [Buffer, readonly Buffer[]])[];
      const page = items.map(([id, fields]) => entryOf(id, fields));
      if (group !== undefined) recent.read(log, page, page.length < count, life);
      const isWhole = page.every((entry) => taken.take(entry));
      if (page.length > 0) {
        const measured = Math.max(1, page.reduce((sum, { body }) => sum + body.length, 0) / page.length);
        entryBytes.set(log, average === undefined ? measured : average + (measured - average) * newestWeight);
      }
      if (isWhole && page.length < count) return { entries, atEnd: true };
      if (taken.isFull) return { entries, atEnd: false };
    }
  }

  async function headAt(
    partition: TopicPartition,
    id: string,
    side: "after" | "before",
  ): Promise<EntryHead | undefined> {
    const reply = itemsOf(await scripts.run(connection, "meta-at", [keys.log(partition)], [id, side]).catch(rethrow));
    if (textOf(reply[0]) === "") return undefined;
    const meta = decodeEntryMeta(reply[1] as Buffer);
    return {
      baseOffset: baseOffsetOfId(reply[0] as Buffer),
      recordCount: Number(textOf(reply[2])),
      appendTimeMs: meta.appendTimeMs,
      logBytes: meta.logBytes,
      bodyBytes: bodyBytesOf(meta),
    };
  }

  async function end(partition: TopicPartition): Promise<bigint> {
    const last = await headAt(partition, "+", "before");
    if (last === undefined) return 0n;
    const endOffset = last.baseOffset + BigInt(last.recordCount);
    ends.note(partition, endOffset);
    return endOffset;
  }

  async function bounds(partition: TopicPartition): Promise<{ startOffset: bigint; endOffset: bigint }> {
    const { entries, startOffset, endOffset } = await readEnds(connection, scripts, keys, partition);
    if (entries > 0) {
      ends.note(partition, endOffset);
      return { startOffset, endOffset };
    }
    return { startOffset: endOffset, endOffset };
  }

  async function firstEntry(
    partition: TopicPartition,
    test: (head: EntryHead) => boolean,
    within?: { readonly startOffset: bigint; readonly endOffset: bigint },
  ): Promise<EntryHead | undefined> {
    let { startOffset: low, endOffset: high } = within ?? (await bounds(partition));
    while (low < high) {
      const middle = low + (high - low) / 2n;
      const head =
        (await headAt(partition, `${middle}-1`, "before")) ?? (await headAt(partition, `${middle}-0`, "after"));
      if (head === undefined) return undefined;
      if (test(head)) high = head.baseOffset < high ? head.baseOffset : middle;
      else
        low =
          head.baseOffset + BigInt(head.recordCount) > middle
            ? head.baseOffset + BigInt(head.recordCount)
            : middle + 1n;
    }
    return headAt(partition, `${low}-0`, "after");
  }

  /** First entry appended at or after a time: append times never fall inside a log. */
  async function locateTime(partition: TopicPartition, timestampMs: number): Promise<bigint> {
    // The end from before the search: what is stored during it belongs to those who begin here.
    const within = await bounds(partition);
    const found = await firstEntry(partition, ({ appendTimeMs }) => appendTimeMs >= timestampMs, within);
    return found?.baseOffset ?? within.endOffset;
  }

  async function locate(partition: TopicPartition, position: StartPosition): Promise<bigint> {
    if (typeof position === "object" && "timestampMs" in position) return locateTime(partition, position.timestampMs);
    // Each end that is read is an entry copied: a group that begins wants one of them. A log without entries begins at 0, whatever is stored in it by the next question.
    if (position === "earliest") return (await headAt(partition, "-", "after"))?.baseOffset ?? 0n;
    if (position === "latest") return end(partition);
    const { startOffset, endOffset } = await bounds(partition);
    if (position.offset >= endOffset) return endOffset;
    if (position.offset <= startOffset) return startOffset;
    const head = await headAt(partition, `${position.offset}-1`, "before");
    if (head === undefined) return startOffset;
    const after = head.baseOffset + BigInt(head.recordCount);
    return position.offset < after ? head.baseOffset : after;
  }

  return {
    async read({ topic, partition, from, entriesMax, bytesMax }) {
      const place = { topic, partition };
      await topics.check(place);
      const base = await locate(place, from);
      const { entries } = await entriesFrom(place, base, { entriesMax, recordsMax: Number.MAX_SAFE_INTEGER, bytesMax });
      return { entries, ...(await bounds(place)) };
    },
    entriesFrom,
    claimed: (partition) => recent.forget(keys.log(partition)),
    end,
    locate,
    firstEntry,
    entryBefore: (partition, offset) => headAt(partition, `${offset}-1`, "before"),
  };
}

/** Entries as they are taken, in order: one at least, else as many as fit. */
function createTaking(from: bigint, { entriesMax, recordsMax, bytesMax }: ReadBounds) {
  const entries: LogEntry[] = [];
  let roomRecords = recordsMax;
  let roomBytes = bytesMax;
  let next = from;
  let isFull = false;
  return {
    entries,
    get next() {
      return next;
    },
    get roomBytes() {
      return roomBytes;
    },
    get isFull() {
      return isFull;
    },
    /** False: it was not taken, nor will another be. */
    take(entry: LogEntry): boolean {
      const { baseOffset, recordCount, body } = entry;
      if (entries.length > 0 && (recordCount > roomRecords || body.length > roomBytes)) isFull = true;
      if (isFull) return false;
      entries.push(entry);
      roomRecords -= recordCount;
      roomBytes -= body.length;
      next = baseOffset + BigInt(recordCount);
      isFull = entries.length >= entriesMax || roomRecords <= 0 || roomBytes <= 0;
      return true;
    },
  };
}

/** An entry as Redis gives it: id, and fields in pairs (`m` meta, `n` record count, `b` body). */
function entryOf(id: Buffer, fields: readonly Buffer[]): LogEntry {
  let meta: Buffer = Buffer.alloc(0);
  let body: Buffer = meta;
  let recordCount = 0;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const value = fields[at + 1] as Buffer;
    switch ((fields[at] as Buffer)[0]) {
      case 0x6d:
        meta = value;
        break;
      case 0x6e:
        recordCount = Number(value.toString("latin1"));
        break;
      case 0x62:
        body = value;
        break;
    }
  }
  return { baseOffset: baseOffsetOfId(id), recordCount, meta, body };
}
