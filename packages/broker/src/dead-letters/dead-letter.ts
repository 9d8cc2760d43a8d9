/** A dead letter as operators see it, and which of them are meant. Pure. */
import {
  type DeadLetterFacts,
  GmqError,
  limits,
  ownHeaders,
  type PlacedRecord,
  readDeadLetterFacts,
  readRedrives,
} from "@gmq/protocol";
import type { DeadLetterFilter, DeadLetterPlace } from "@gmq/protocol/messages";

/** A record of a dead-letter topic. */
export interface DeadLetter {
  /** Its place in the dead-letter topic. */
  readonly partition: number;
  readonly record: PlacedRecord;
  readonly facts: DeadLetterFacts;
  readonly redrives: number;
}

/** Says whether a dead letter is meant. */
export interface Selection {
  matches(letter: DeadLetter): boolean;
  /** False: nothing of the partition can match. */
  wants(partition: number): boolean;
  /** No record after this offset of the partition can match. */
  lastOffset(partition: number): bigint | undefined;
}

/** The dead letter that a record is, undefined when it is none. */
export function readDeadLetter(partition: number, record: PlacedRecord): DeadLetter | undefined {
  const facts = readDeadLetterFacts(record.headers);
  if (facts === undefined) return undefined;
  return { partition, record, facts, redrives: readRedrives(record.headers) };
}

/** The record as it was in its topic. */
export function originalRecord({ record, facts }: DeadLetter): PlacedRecord {
  return { ...record, headers: ownHeaders(record.headers), timestampMs: facts.timestampMs };
}

/**
 * The dead letters of one group and topic that pass a filter, and are selected if any are. (Two pairs of names may share a dead-letter topic; the others' letters are never meant.)
 * @throws GmqError `invalid_argument`
 */
export function createSelection(
  origin: { readonly topic: string; readonly group: string },
  filter: DeadLetterFilter | undefined,
  selected: readonly DeadLetterPlace[] = [],
): Selection {
  const { reason, errorContains, key, partition, fromOffset, toOffset } = filter ?? {};
  check(fromOffset, toOffset, selected);
  const places = selected.length === 0 ? undefined : placesOf(selected);
  return {
    matches({ partition: at, record, facts }) {
      if (facts.topic !== origin.topic || facts.group !== origin.group) return false;
      if (places !== undefined && places.get(at)?.has(record.offset) !== true) return false;
      return (
        (partition === undefined || at === partition) &&
        (fromOffset === undefined || record.offset >= fromOffset) &&
        (toOffset === undefined || record.offset <= toOffset) &&
        (reason === undefined || facts.reason === reason) &&
        (errorContains === undefined || facts.errorText.includes(errorContains)) &&
        (key === undefined || (record.key !== undefined && Buffer.compare(record.key, key) === 0))
      );
    },
    wants: (at) => (partition === undefined || at === partition) && (places === undefined || places.has(at)),
    lastOffset(at) {
      let last = toOffset;
      for (const offset of places?.get(at) ?? []) if (last === undefined || offset > last) last = offset;
      return last;
    },
  };
}

function placesOf(selected: readonly DeadLetterPlace[]): Map<number, Set<bigint>> {
  const places = new Map<number, Set<bigint>>();
  for (const { partition, offset } of selected) {
    const offsets = places.get(partition) ?? new Set();
    places.set(partition, offsets.add(offset));
  }
  return places;
}

function check(from: bigint | undefined, to: bigint | undefined, selected: readonly DeadLetterPlace[]): void {
  for (const [field, offset] of [
    ["filter.from_offset", from],
    ["filter.to_offset", to],
  ] as const) {
    if (offset !== undefined && offset < 0n)
      throw new GmqError("invalid_argument", `${field} is ${offset}`, { field, limit: "0 or more" });
  }
  if (from !== undefined && to !== undefined && from > to) {
    throw new GmqError("invalid_argument", `no offset is from ${from} to ${to}`, { field: "filter.to_offset" });
  }
  if (selected.length > limits.redriveSelectedMax) {
    throw new GmqError("invalid_argument", `${selected.length} records are selected`, {
      field: "selected",
      limit: `${limits.redriveSelectedMax} records`,
    });
  }
}
