/** AdminService.ListDeadLetters: the dead-letter topics there are; or one group's open dead letters, by reason and one by one. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { GmqError, isDeadLetterTopicName, limits, redriveGroup } from "@gmq/protocol";
import type {
  AdminServiceListDeadLettersRequest,
  AdminServiceListDeadLettersResponseSchema,
  DeadLetterPlace,
} from "@gmq/protocol/messages";
import type { Engine } from "@gmq/storage";
import { recordMessage } from "../messages.js";
import { createSelection, type DeadLetter, originalRecord } from "./dead-letter.js";
import { findDeadLetterTopic, openEntry, openLettersIn } from "./open-letters.js";

type Response = MessageInitShape<typeof AdminServiceListDeadLettersResponseSchema>;

/** Payload that one listing reads at most. */
const readBytesMax = 64 * 1024 * 1024;

/** @throws GmqError `invalid_argument`, `invalid_name`, `topic_not_found` */
export async function listDeadLetters(engine: Engine, request: AdminServiceListDeadLettersRequest): Promise<Response> {
  if (request.topic === "" && request.group === "") return { queues: await listQueues(engine), complete: true };
  return listLetters(engine, request);
}

async function listLetters(engine: Engine, request: AdminServiceListDeadLettersRequest): Promise<Response> {
  const limit = request.limit === 0 ? limits.browseRecordsDefault : request.limit;
  if (limit > limits.browseRecordsMax) {
    throw new GmqError("invalid_argument", `limit is ${limit}`, {
      field: "limit",
      limit: `1 to ${limits.browseRecordsMax} records`,
    });
  }
  const selection = createSelection(request, request.filter);
  const { name, config } = await findDeadLetterTopic(engine.topics, request.topic, request.group);
  const reasons = new Map<string, { count: bigint; firstAtMs: number; lastAtMs: number }>();
  const letters: DeadLetter[] = [];
  let seen = 0;
  let bytes = 0;
  let more = false;
  for (let partition = 0; partition < config.partitions; partition++) {
    if (!selection.wants(partition)) continue;
    for await (const entry of openLettersIn(engine, { topic: name, partition })) {
      for (const letter of entry.letters) {
        bytes += letter.record.value.length;
        if (++seen > limits.deadLettersListedMax || bytes > readBytesMax)
          return { reasons: byCount(reasons), letters: letters.map(letterMessage), complete: false, more };
        if (!selection.matches(letter)) continue;
        count(reasons, letter);
        if (!isAfter(letter, request.after)) continue;
        if (letters.length < limit) letters.push(letter);
        else more = true;
      }
    }
  }
  return { reasons: byCount(reasons), letters: letters.map(letterMessage), complete: true, more };
}

function isAfter({ partition, record }: DeadLetter, after: DeadLetterPlace | undefined): boolean {
  if (after === undefined || partition > after.partition) return true;
  return partition === after.partition && record.offset > after.offset;
}

function count(
  reasons: Map<string, { count: bigint; firstAtMs: number; lastAtMs: number }>,
  { facts: { reason, atMs } }: DeadLetter,
): void {
  const known = reasons.get(reason) ?? { count: 0n, firstAtMs: atMs, lastAtMs: atMs };
  known.count++;
  known.firstAtMs = Math.min(known.firstAtMs, atMs);
  known.lastAtMs = Math.max(known.lastAtMs, atMs);
  reasons.set(reason, known);
}

function byCount(reasons: ReadonlyMap<string, { count: bigint; firstAtMs: number; lastAtMs: number }>) {
  return Array.from(reasons, ([reason, { count: times, firstAtMs, lastAtMs }]) => ({
    reason,
    count: times,
    firstAtMs: BigInt(firstAtMs),
    lastAtMs: BigInt(lastAtMs),
  })).sort((one, other) => (one.count > other.count ? -1 : one.count < other.count ? 1 : 0));
}

function letterMessage(letter: DeadLetter) {
  const { partition, record, facts, redrives } = letter;
  return {
    place: { partition, offset: record.offset },
    topic: facts.topic,
    partition: facts.partition,
    offset: facts.offset,
    group: facts.group,
    reason: facts.reason,
    errorText: facts.errorText,
    attempts: facts.attempts,
    atMs: BigInt(facts.atMs),
    redrives,
    record: recordMessage(originalRecord(letter)),
  };
}

async function listQueues(engine: Engine) {
  const topics = (await engine.topics.list()).filter(({ name }) => isDeadLetterTopicName(name));
  const settled = await engine.groups.offsets(redriveGroup).catch((error: unknown) => {
    if (GmqError.is(error, "group_not_found")) return [];
    throw error;
  });
  const queues = [];
  for (const { name } of topics) {
    const stats = await engine.topics.stats(name);
    const first = await firstLetter(engine, name, stats);
    // Its name ends like one, but nothing in it is a dead letter.
    if (first === undefined) continue;
    const open = stats.reduce((sum, { partition, startOffset, endOffset }) => {
      const known = settled.find((item) => item.topic === name && item.partition === partition);
      return sum + (known === undefined ? endOffset - startOffset : BigInt(known.lagRecords));
    }, 0n);
    queues.push({ deadLetterTopic: name, topic: first.facts.topic, group: first.facts.group, open });
  }
  return queues;
}

async function firstLetter(
  { log }: Engine,
  topic: string,
  stats: readonly { readonly partition: number; readonly entries: number }[],
): Promise<DeadLetter | undefined> {
  for (const { partition, entries: count } of stats) {
    if (count === 0) continue;
    const { entries } = await log.read({ topic, partition, from: "earliest", entriesMax: 1, bytesMax: 1 });
    const [letter] = entries[0] === undefined ? [] : (await openEntry(partition, entries[0], "")).letters;
    if (letter !== undefined) return letter;
  }
  return undefined;
}
