/** Names and headers of dead letters: the one place that says how a rejected record looks in its group's dead-letter topic. */
import { createHash } from "node:crypto";
import type { DecodedHeader } from "./batch/decode.js";
import { limits } from "./limits.js";

/** Last part of every dead-letter topic's name. */
const suffix = ".dlq";

/** The group that settles dead letters as they are redriven or discarded: its lag in a dead-letter topic is what is open. Nobody else may consume as it. */
export const redriveGroup = "gmq.redrive";

/** Headers of a dead letter; all values are text. */
const names = {
  topic: "gmq-dlq-topic",
  partition: "gmq-dlq-partition",
  offset: "gmq-dlq-offset",
  group: "gmq-dlq-group",
  reason: "gmq-dlq-reason",
  errorText: "gmq-dlq-error",
  attempts: "gmq-dlq-attempts",
  atMs: "gmq-dlq-at-ms",
  timestampMs: "gmq-dlq-timestamp-ms",
} as const;

/** Counts how often a record was redriven; it stays with the record. */
const redrivesName = "gmq-redrives";

/** Where a dead letter comes from, and why it is one. */
export interface DeadLetterFacts {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly group: string;
  readonly reason: string;
  readonly errorText: string;
  /** Failed attempts, with the one that was rejected. */
  readonly attempts: number;
  /** When it was rejected, by the store's clock. */
  readonly atMs: number;
  /** The record's own timestamp. */
  readonly timestampMs: number;
}

const toBytes = new TextEncoder();
const toText = new TextDecoder();
const factNames: ReadonlySet<string> = new Set(Object.values(names));

/** The record's own headers and those that tell the facts. */
export function addDeadLetterFacts(headers: readonly DecodedHeader[], facts: DeadLetterFacts): DecodedHeader[] {
  const told = Object.entries(names).map(([fact, key]) => ({
    key,
    value: toBytes.encode(String(facts[fact as keyof typeof names])),
  }));
  return [...headers.filter(({ key }) => !factNames.has(key)), ...told];
}

/** What the headers of a dead letter tell, undefined when the record is none. */
export function readDeadLetterFacts(headers: readonly DecodedHeader[]): DeadLetterFacts | undefined {
  const told = new Map(
    headers.filter(({ key }) => factNames.has(key)).map(({ key, value }) => [key, toText.decode(value)]),
  );
  if (told.size !== factNames.size) return undefined;
  const textOf = (name: string): string => told.get(name) ?? "";
  const numbers = [names.partition, names.offset, names.attempts, names.atMs, names.timestampMs].map(textOf);
  if (!numbers.every((number) => /^\d{1,18}$/.test(number))) return undefined;
  return {
    topic: textOf(names.topic),
    partition: Number(textOf(names.partition)),
    offset: BigInt(textOf(names.offset)),
    group: textOf(names.group),
    reason: textOf(names.reason),
    errorText: textOf(names.errorText),
    attempts: Number(textOf(names.attempts)),
    atMs: Number(textOf(names.atMs)),
    timestampMs: Number(textOf(names.timestampMs)),
  };
}

/** The headers that a dead letter had in its own topic. */
export function ownHeaders(headers: readonly DecodedHeader[]): DecodedHeader[] {
  return headers.filter(({ key }) => !factNames.has(key));
}

/** How often a record was redriven. */
export function readRedrives(headers: readonly DecodedHeader[]): number {
  const header = headers.find(({ key }) => key === redrivesName);
  const count = header === undefined ? 0 : Number(toText.decode(header.value));
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** The headers of a record that is redriven: its own, with one redrive more. */
export function redrivenHeaders(headers: readonly DecodedHeader[]): DecodedHeader[] {
  const count = { key: redrivesName, value: toBytes.encode(String(readRedrives(headers) + 1)) };
  return [...ownHeaders(headers).filter(({ key }) => key !== redrivesName), count];
}

/**
 * The dead-letter topic of a group for a topic: `<topic>.<group>.dlq`. Where that is longer than a name may be, it is cut and a hash of both names stands
 * before the suffix: the same names always give the same topic.
 */
export function deadLetterTopic(topic: string, group: string): string {
  return `${boundedText(`${topic}.${group}`, limits.nameLengthMax - suffix.length, `${topic}\n${group}`)}${suffix}`;
}

/** True for names that `deadLetterTopic` gives (and for others that end like them: the records' headers tell). */
export function isDeadLetterTopicName(topic: string): boolean {
  return topic.endsWith(suffix);
}

/** A dedupe id of any length within its limit: what is cut off is kept as a hash. `text` is ASCII, as names are. */
export function boundedDedupeId(text: string): string {
  return boundedText(text, limits.dedupeIdBytesMax, text);
}

function boundedText(text: string, lengthMax: number, identity: string): string {
  if (text.length <= lengthMax) return text;
  const hash = createHash("sha256").update(identity).digest("hex").slice(0, 16);
  return `${text.slice(0, lengthMax - hash.length - 1)}-${hash}`;
}
