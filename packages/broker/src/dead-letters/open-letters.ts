/** Finds the dead letters that are open: what the reserved group has not settled in a dead-letter topic. Reads only. */
import { checkName, deadLetterTopic, decodeEntry, GmqError, limits, redriveGroup } from "@gmq/protocol";
import {
  type Engine,
  type LogEntry,
  type LogStore,
  type PendingEntry,
  pagesOf,
  type TopicInfo,
  type TopicPartition,
} from "@gmq/storage";
import { type DeadLetter, readDeadLetter } from "./dead-letter.js";

/** An entry with open dead letters. */
export interface OpenEntry {
  readonly baseOffset: bigint;
  readonly recordCount: number;
  readonly letters: readonly DeadLetter[];
}

/** Entries read at once. */
const readEntries = 256;

/**
 * The dead-letter topic of a group for a topic.
 * @throws GmqError `invalid_name`, `topic_not_found` (field `topic`: no such topic; field `group`: the group has no dead letters of it)
 */
export async function findDeadLetterTopic(topics: Engine["topics"], topic: string, group: string): Promise<TopicInfo> {
  checkName("topic", topic);
  checkName("group", group);
  const [origin, found] = await Promise.all([topics.get(topic), topics.get(deadLetterTopic(topic, group))]);
  if (found !== undefined) return found;
  if (origin === undefined) throw new GmqError("topic_not_found", `there is no topic ${topic}`, { field: "topic" });
  throw new GmqError("topic_not_found", `the group ${group} has no dead letters of the topic ${topic}`, {
    field: "group",
  });
}

/** The open dead letters of a partition, without owning it. */
export async function* openLettersIn({ groups, log }: Engine, place: TopicPartition): AsyncGenerator<OpenEntry> {
  let position: bigint | undefined;
  for await (const page of pagesOf((asked) => groups.progress(redriveGroup, place, asked))) {
    const until = position ?? page.position;
    position = until;
    // What was handed out since the first page is among the later ones here.
    const pending = page.pending.filter(({ baseOffset }) => baseOffset < until);
    yield* pendingLetters(log, place, pending);
  }
  yield* laterLetters(log, place, position ?? 0n);
}

/** The open dead letters of entries that are pending, by base offset: in order, read in pages. */
export async function* pendingLetters(
  log: Pick<LogStore, "read">,
  place: TopicPartition,
  pending: readonly PendingEntry[],
): AsyncGenerator<OpenEntry> {
  let page = new Map<bigint, LogEntry>();
  for (const { baseOffset, states } of pending) {
    if (states !== "" && !states.includes(".")) continue;
    if (!page.has(baseOffset)) {
      const { entries } = await read(log, place, baseOffset);
      page = new Map(entries.map((entry) => [entry.baseOffset, entry]));
    }
    const entry = page.get(baseOffset);
    // Gone by retention: there is nothing left to redrive.
    if (entry !== undefined) yield await openEntry(place.partition, entry, states);
  }
}

/** The dead letters from an offset on, all of them open, up to the end as it is when this begins. */
async function* laterLetters(
  log: Pick<LogStore, "read">,
  place: TopicPartition,
  from: bigint,
): AsyncGenerator<OpenEntry> {
  let next = from;
  let end: bigint | undefined;
  for (;;) {
    const { entries, endOffset } = await read(log, place, next);
    end ??= endOffset;
    for (const entry of entries) {
      if (entry.baseOffset < next) continue;
      if (entry.baseOffset >= end) return;
      next = entry.baseOffset + BigInt(entry.recordCount);
      yield await openEntry(place.partition, entry, "");
    }
    if (entries.length === 0 || next >= end) return;
  }
}

/** The open letters of an entry; `states` as `PendingEntry` has them. */
export async function openEntry(partition: number, entry: LogEntry, states: string): Promise<OpenEntry> {
  const letters: DeadLetter[] = [];
  for await (const record of decodeEntry(entry)) {
    if (states !== "" && states[record.index] !== ".") continue;
    const letter = readDeadLetter(partition, record);
    if (letter !== undefined) letters.push(letter);
  }
  return { baseOffset: entry.baseOffset, recordCount: entry.recordCount, letters };
}

function read(log: Pick<LogStore, "read">, { topic, partition }: TopicPartition, offset: bigint) {
  const bounds = { entriesMax: readEntries, bytesMax: limits.fetchBytesDefault };
  return log.read({ topic, partition, from: { offset }, ...bounds });
}
