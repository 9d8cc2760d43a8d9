/** What a rejected record looks like in its group's dead-letter topic. */
import { randomUUID } from "node:crypto";
import {
  addDeadLetterFacts,
  boundedDedupeId,
  encodeSingleBatch,
  hasSeededBug,
  isDeadLetterTopicName,
  type PlacedRecord,
  readDeadLetterFacts,
} from "@gmq/protocol";
import type { LogBatch, TopicPartition } from "../engine.js";
import type { Rejection } from "./owed-copies.js";

const copiesAnew = hasSeededBug("dead-letter-copied-anew");

/** Where a record was rejected, and by which group. */
export interface DeadLetterOrigin extends TopicPartition {
  readonly group: string;
}

/** The loop guard: a dead letter that a consumer of its dead-letter topic rejects is settled there without another copy, and stays to be redriven. */
export function staysWhereItIs({ topic }: DeadLetterOrigin, { headers }: PlacedRecord): boolean {
  return isDeadLetterTopicName(topic) && readDeadLetterFacts(headers) !== undefined;
}

/**
 * The copy of a rejected record as a batch of its own: key, value and headers as they were, and headers that say where it comes from and why. Its dedupe id
 * names the record and its rejection, so the same copy is stored once, and a record that is read again after a reset and rejected again is a new one.
 */
export function deadLetterBatch(
  { topic, partition, group }: DeadLetterOrigin,
  { key, value, headers, offset, timestampMs }: PlacedRecord,
  rejection: Rejection,
): Promise<LogBatch> {
  const { atMs } = rejection;
  const facts = { topic, partition, offset, group, timestampMs, ...rejection };
  return encodeSingleBatch(
    { key, value, headers: addDeadLetterFacts(headers, facts), timestampMs: atMs },
    boundedDedupeId(`dlq/${topic}/${partition}/${offset}/${group}@${atMs}${copiesAnew ? randomUUID() : ""}`),
  );
}
