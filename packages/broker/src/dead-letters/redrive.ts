/**
 * AdminService.Redrive: puts dead letters back to the topic that they came from, or discards them. Each is appended under a dedupe id and then settled in the
 * reserved group, so a redrive that dies in between and is asked for again stores nothing twice. Order: by partition and offset of the dead-letter topic.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import {
  type AdminServiceRedriveRequest,
  type AdminServiceRedriveResponse,
  AdminServiceRedriveResponseSchema,
  type DeadLetterPlaceSchema,
  type MovedLetterSchema,
  RedriveAction,
  type SkippedLetterSchema,
} from "@gmq/protocol/messages";
import type { Engine, TopicInfo } from "@gmq/storage";
import { errorToMessage } from "@gmq/transport";
import type { Memberships } from "../membership.js";
import { createSelection, type DeadLetter, type Selection } from "./dead-letter.js";
import { createMover, type Move, type Moved } from "./move-letters.js";
import { findDeadLetterTopic, type OpenEntry, openEntry, openLettersIn, pendingLetters } from "./open-letters.js";
import { type ClaimedPartition, claimForRedrive } from "./redrive-claim.js";

/** What redrives of a broker need. */
export interface RedriveContext {
  readonly engine: Engine;
  readonly memberships: Memberships;
  readonly brokerId: string;
}

interface Counts {
  matched: number;
  moved: number;
  skipped: number;
  failed: number;
}

/** Letters that no frame has named yet. */
interface Unnamed {
  movedLetters: MessageInitShape<typeof MovedLetterSchema>[];
  skippedLetters: MessageInitShape<typeof SkippedLetterSchema>[];
}

const redrivesMaxDefault = 3;
/** Records that are moved together; fewer when the rate is low, so that it is even. */
const movedTogetherMax = 100;
const movedTogetherPerSecond = 5;
const skippedTogetherMax = 100;
const movedBytesMax = 1024 * 1024;
const fetchRecordsMax = 1_000;

/**
 * Redrives, and tells counts and places as it goes; the last frame is `done`.
 * @throws GmqError `invalid_argument`, `invalid_name`, `topic_not_found`, `partition_not_found`, `conflict`, and the store's errors: what was moved before is told and stays moved
 */
export async function* redrive(
  context: RedriveContext,
  request: AdminServiceRedriveRequest,
  signal: AbortSignal,
): AsyncGenerator<AdminServiceRedriveResponse> {
  const { engine } = context;
  const { topic, group, ratePerSecond, dryRun } = request;
  if (ratePerSecond < 0 || ratePerSecond > limits.redriveRateMax) {
    throw new GmqError("invalid_argument", `rate_per_second is ${ratePerSecond}`, {
      field: "rate_per_second",
      limit: `0 (no limit) to ${limits.redriveRateMax} records a second`,
    });
  }
  const selection = createSelection({ topic, group }, request.filter, request.selected);
  const redrivesMax = request.redrivesMax === 0 ? redrivesMaxDefault : request.redrivesMax;
  const isDiscard = request.action === RedriveAction.DISCARD;
  const source = await findDeadLetterTopic(engine.topics, topic, group);
  const missing = request.selected.find(({ partition }) => partition >= source.config.partitions);
  if (missing !== undefined) {
    throw new GmqError(
      "partition_not_found",
      `the dead-letter topic ${source.name} has no partition ${missing.partition}`,
      {
        field: "selected.partition",
        limit: `0 to ${source.config.partitions - 1}`,
      },
    );
  }
  const origin = await engine.topics.get(topic);
  if (origin === undefined && !isDiscard)
    throw new GmqError("topic_not_found", `there is no topic ${topic} to redrive to`, { field: "topic" });
  const counts: Counts = { matched: 0, moved: 0, skipped: 0, failed: 0 };
  let unnamed: Unnamed = { movedLetters: [], skippedLetters: [] };

  /** Counts a letter; true when it is to be moved. */
  function take(letter: DeadLetter): boolean {
    if (!selection.matches(letter)) return false;
    counts.matched++;
    if (isDiscard || letter.redrives < redrivesMax) return true;
    counts.skipped++;
    if (!dryRun) unnamed.skippedLetters.push({ place: placeOf(letter), redrives: letter.redrives });
    return false;
  }

  function progress(done: boolean): AdminServiceRedriveResponse {
    const { matched, moved, skipped, failed } = counts;
    const value = {
      matched: BigInt(matched),
      moved: BigInt(moved),
      skipped: BigInt(skipped),
      failed: BigInt(failed),
      done,
      ...unnamed,
    };
    unnamed = { movedLetters: [], skippedLetters: [] };
    return response({ case: "progress", value });
  }

  if (dryRun) {
    for await (const { letters } of openLetters(engine, source, selection)) {
      signal.throwIfAborted();
      counts.moved += letters.filter(take).length;
    }
    yield progress(true);
    return;
  }

  const claim = await claimForRedrive(engine.groups, context.memberships, source, context.brokerId);
  const stop = AbortSignal.any([signal, claim.lost]);
  const mover = createMover(engine, source, isDiscard ? undefined : origin, () => stop.aborted);
  const together = ratePerSecond === 0 ? movedTogetherMax : clamp(Math.floor(ratePerSecond / movedTogetherPerSecond));
  const pace = createPace(ratePerSecond, stop);

  async function* move(
    partition: ClaimedPartition,
    moves: readonly Move[],
  ): AsyncGenerator<AdminServiceRedriveResponse> {
    await pace(moves.length);
    let broken: { readonly cause: unknown } | undefined;
    const outcomes = await mover.move(partition.ownership, moves).catch((cause: unknown): readonly Moved[] => {
      // Nobody knows which of them the store has settled: each is named, with the reason.
      broken = { cause };
      const error = GmqError.from(cause);
      return moves.map(() => ({ error }));
    });
    for (const [index, moved] of outcomes.entries()) {
      const place = placeOf((moves[index] as Move).letter);
      if ("error" in moved) {
        counts.failed++;
        yield response({ case: "failure", value: { place, error: errorToMessage(moved.error) } });
      } else {
        counts.moved++;
        unnamed.movedLetters.push(moved.to === undefined ? { place } : { place, to: moved.to });
      }
    }
    yield progress(false);
    if (broken !== undefined) throw broken.cause;
  }

  try {
    for (const partition of claim.partitions) {
      if (!selection.wants(partition.ownership.partition)) continue;
      let moves: Move[] = [];
      let bytes = 0;
      for await (const { baseOffset, recordCount, letters } of claimedLetters(engine, partition, selection)) {
        stop.throwIfAborted();
        for (const letter of letters) {
          if (!take(letter)) {
            if (unnamed.skippedLetters.length >= skippedTogetherMax) yield progress(false);
            continue;
          }
          moves.push({ letter, baseOffset, recordCount });
          bytes += letter.record.value.length;
          if (moves.length < together && bytes < movedBytesMax) continue;
          yield* move(partition, moves);
          moves = [];
          bytes = 0;
        }
      }
      if (moves.length > 0) yield* move(partition, moves);
    }
    yield progress(true);
  } catch (error) {
    if (claim.lost.aborted) throw interrupted(claim.lost.reason);
    throw error;
  } finally {
    await claim.release();
  }
}

/** Open letters of the whole topic, without owning it. */
async function* openLetters(
  engine: Engine,
  { name, config }: TopicInfo,
  selection: Selection,
): AsyncGenerator<OpenEntry> {
  for (let partition = 0; partition < config.partitions; partition++) {
    if (selection.wants(partition)) yield* openLettersIn(engine, { topic: name, partition });
  }
}

/** Open letters of a partition that is owned, registered so that they can be settled one by one; up to the end as it was when it was claimed. */
async function* claimedLetters(
  { groups, log }: Engine,
  { ownership, claim }: ClaimedPartition,
  selection: Selection,
): AsyncGenerator<OpenEntry> {
  const last = selection.lastOffset(ownership.partition);
  yield* pendingLetters(log, ownership, claim.pending);
  let { position } = claim;
  while (position < claim.endOffset && (last === undefined || position <= last)) {
    const [fetched] = await groups.fetch([
      { ownership, position, bytesMax: limits.fetchBytesDefault, recordsMax: fetchRecordsMax },
    ]);
    if (fetched === undefined) throw new GmqError("internal", "a fetch was left unanswered");
    if (!fetched.ok) throw fetched.error;
    if (fetched.entries.length === 0) return;
    for (const entry of fetched.entries) yield await openEntry(ownership.partition, entry, "");
    position = fetched.position;
  }
}

/** Waits so that no more than `perSecond` records pass in a second; 0: never waits. */
function createPace(perSecond: number, stop: AbortSignal): (records: number) => Promise<void> {
  let freeAtMs = performance.now();
  return async (records) => {
    stop.throwIfAborted();
    if (perSecond === 0) return;
    const waitMs = freeAtMs - performance.now();
    freeAtMs = Math.max(freeAtMs, performance.now()) + (records * 1_000) / perSecond;
    if (waitMs > 0) await sleep(waitMs, undefined, { signal: stop });
  };
}

function clamp(count: number): number {
  return Math.min(movedTogetherMax, Math.max(1, count));
}

function interrupted(cause: unknown): GmqError {
  return new GmqError("unavailable", "the redrive lost the dead-letter topic in the middle: ask again for the rest", {
    cause,
  });
}

function placeOf({ partition, record }: DeadLetter): MessageInitShape<typeof DeadLetterPlaceSchema> {
  return { partition, offset: record.offset };
}

function response(
  event: NonNullable<MessageInitShape<typeof AdminServiceRedriveResponseSchema>["event"]>,
): AdminServiceRedriveResponse {
  return create(AdminServiceRedriveResponseSchema, { event });
}
