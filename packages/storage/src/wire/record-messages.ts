/** Append, fetch, settle and claim: engine values to wire messages and back. Payload bytes are passed on, never copied. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import {
  type ClaimPage as ClaimPageMessage,
  type ClaimPageSchema,
  type ClaimPartitionResponse,
  type EntrySettle as EntrySettleMessage,
  type FetchedPartition,
  type FetchedPartitionSchema,
  type PartitionFetch as FetchMessage,
  type Ownership as OwnershipMessage,
  type OwnershipSchema,
  type PartitionFetchSchema,
  type PartitionSettleSchema,
  PendingEntrySchema,
  type PendingEntry as PendingMessage,
  type PublishResult,
  type PublishResultSchema,
  type SettleRange as RangeMessage,
  type SettledPartition,
  type SettledPartitionSchema,
  type PartitionSettle as SettleMessage,
  type SettleRefusalSchema,
  Verb,
} from "@gmq/protocol/messages";
import { errorFromMessage, errorToMessage } from "@gmq/transport";
import type {
  AppendOutcome,
  ClaimPage,
  ClaimResult,
  EntrySettle,
  FetchOutcome,
  HeldEntry,
  Ownership,
  PartitionFetch,
  PartitionSettle,
  PendingEntry,
  SettleOutcome,
  SettleRange,
  SettleRefusal,
} from "../engine.js";

export function appendOutcomeToMessage(outcome: AppendOutcome): MessageInitShape<typeof PublishResultSchema> {
  if (!outcome.ok) return { error: errorToMessage(outcome.error) };
  const { firstOffset, duplicate, appendTimeMs, scheduled = false, throttleMs = 0 } = outcome;
  const appended = { firstOffset, duplicate, appendTimeMs: BigInt(appendTimeMs) };
  return { ...appended, scheduled, throttleMs };
}

export function appendOutcomeFromMessage(message: PublishResult): AppendOutcome {
  if (message.error !== undefined) return { ok: false, error: errorFromMessage(message.error) };
  const { firstOffset, duplicate, appendTimeMs, scheduled, throttleMs } = message;
  const stored = { ok: true, firstOffset, duplicate, appendTimeMs: Number(appendTimeMs), scheduled } as const;
  return throttleMs === 0 ? stored : { ...stored, throttleMs };
}

export function ownershipToMessage(ownership: Ownership): MessageInitShape<typeof OwnershipSchema> {
  const { group, topic, partition, memberId, epoch, shared = false } = ownership;
  return { group, topic, partition, memberId, epoch: BigInt(epoch), shared };
}

/** @throws GmqError `invalid_argument` when it is missing */
export function ownershipFromMessage(message: OwnershipMessage | undefined): Ownership {
  if (message === undefined) throw new GmqError("invalid_argument", "ownership is missing", { field: "ownership" });
  const { group, topic, partition, memberId, epoch, shared } = message;
  return { group, topic, partition, memberId, epoch: Number(epoch), shared };
}

export function fetchToMessage({
  ownership,
  position,
  bytesMax,
  recordsMax,
}: PartitionFetch): MessageInitShape<typeof PartitionFetchSchema> {
  return { ownership: ownershipToMessage(ownership), position, bytesMax, recordsMax };
}

/** @throws GmqError `invalid_argument` */
export function fetchFromMessage({ ownership, position, bytesMax, recordsMax }: FetchMessage): PartitionFetch {
  const owner = ownershipFromMessage(ownership);
  // What goes into one answer has to fit a frame, beside at most one batch that is larger than asked.
  return { ownership: owner, position, bytesMax: Math.min(bytesMax, limits.fetchBytesMax), recordsMax };
}

/** What was fetched of a partition, as it is sent. */
export type OutgoingPartition = MessageInitShape<typeof FetchedPartitionSchema>;

export function fetchOutcomeToMessage(outcome: FetchOutcome): OutgoingPartition {
  if (!outcome.ok) return { error: errorToMessage(outcome.error) };
  const { entries, position, endOffset } = outcome;
  return { entries, position, endOffset };
}

export function fetchOutcomeFromMessage({ error, entries, position, endOffset }: FetchedPartition): FetchOutcome {
  return error === undefined
    ? { ok: true, entries, position, endOffset }
    : { ok: false, error: errorFromMessage(error) };
}

const verbNumbers = { ack: Verb.ACK, retry: Verb.RETRY, release: Verb.RELEASE, reject: Verb.REJECT } as const;
const verbNames = {
  [Verb.ACK]: "ack",
  [Verb.RETRY]: "retry",
  [Verb.RELEASE]: "release",
  [Verb.REJECT]: "reject",
} as const;

export function settleToMessage({
  ownership,
  entries,
}: PartitionSettle): MessageInitShape<typeof PartitionSettleSchema> {
  return {
    ownership: ownershipToMessage(ownership),
    entries: entries.map(({ baseOffset, recordCount, ranges }) => ({
      baseOffset,
      recordCount,
      ranges: ranges.map(({ firstOffset, lastOffset, verb, delayMs, inPlace, reason, errorText }) => ({
        firstOffset,
        lastOffset,
        verb: verbNumbers[verb],
        delayMs: delayToMessage(delayMs),
        inPlace: inPlace ?? false,
        reason: reason ?? "",
        errorText: errorText ?? "",
      })),
    })),
  };
}

/** A delay that the field cannot hold becomes one that is over the limit, so that its range alone is refused. */
function delayToMessage(delayMs = 0): number {
  const isUint32 = Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= uint32Max;
  return isUint32 ? delayMs : uint32Max;
}

const uint32Max = 0xffff_ffff;

/** @throws GmqError `invalid_argument` naming the field */
export function settleFromMessage({ ownership, entries }: SettleMessage): PartitionSettle {
  return { ownership: ownershipFromMessage(ownership), entries: entries.map(entrySettleFromMessage) };
}

function entrySettleFromMessage({ baseOffset, recordCount, ranges }: EntrySettleMessage): EntrySettle {
  return { baseOffset, recordCount, ranges: ranges.map(rangeFromMessage) };
}

/** A range of records and its verb; the engine says whether it makes sense. @throws GmqError `invalid_argument` naming the field */
export function rangeFromMessage(message: RangeMessage): SettleRange {
  const { firstOffset, lastOffset, verb, delayMs, inPlace, reason, errorText } = message;
  if (verb === Verb.UNSPECIFIED || !(verb in verbNames)) {
    throw new GmqError("invalid_argument", `verb ${verb} is not known`, {
      field: "ranges.verb",
      limit: "1 ack, 2 retry, 3 release, 4 reject",
    });
  }
  if (verb === Verb.REJECT) return { firstOffset, lastOffset, verb: "reject", reason, errorText };
  return { firstOffset, lastOffset, verb: verbNames[verb], delayMs, inPlace };
}

export function refusalToMessage({
  firstOffset,
  lastOffset,
  error,
}: SettleRefusal): MessageInitShape<typeof SettleRefusalSchema> {
  return { firstOffset, lastOffset, error: errorToMessage(error) };
}

export function settleOutcomeToMessage(outcome: SettleOutcome): MessageInitShape<typeof SettledPartitionSchema> {
  return outcome.ok ? { refusals: outcome.refusals.map(refusalToMessage) } : { error: errorToMessage(outcome.error) };
}

export function settleOutcomeFromMessage({ error, refusals }: SettledPartition): SettleOutcome {
  if (error !== undefined) return { ok: false, error: errorFromMessage(error) };
  return {
    ok: true,
    refusals: refusals.map((refusal) => ({
      firstOffset: refusal.firstOffset,
      lastOffset: refusal.lastOffset,
      error:
        refusal.error === undefined
          ? new GmqError("internal", "a refusal without its reason")
          : errorFromMessage(refusal.error),
    })),
  };
}

export function pendingToMessage(entry: PendingEntry): PendingMessage {
  const { baseOffset, recordCount, states, attempts, due, handBacks } = entry;
  return create(PendingEntrySchema, {
    baseOffset,
    recordCount,
    states,
    attempts: [...attempts],
    due: due.map(({ index, inMs }) => ({ index, inMs: Math.min(inMs, 0xffff_ffff) })),
    handBacks: { takeOvers: handBacks.takeOvers, releases: [...handBacks.releases] },
  });
}

export function pendingFromMessage(message: PendingMessage): PendingEntry {
  const { baseOffset, recordCount, states, attempts, due, handBacks } = message;
  const { takeOvers, releases } = handBacks ?? { takeOvers: 0, releases: [] };
  return { baseOffset, recordCount, states, attempts, due, handBacks: { takeOvers, releases } };
}

export function heldToMessage(entry: HeldEntry): PendingMessage {
  return { ...pendingToMessage(entry), idleMs: BigInt(entry.idleMs), desk: entry.desk };
}

export function heldFromMessage(message: PendingMessage): HeldEntry {
  return { ...pendingFromMessage(message), idleMs: Number(message.idleMs), desk: message.desk };
}

export function pageToMessage({ from, itemsMax = 0 }: ClaimPage = {}): MessageInitShape<typeof ClaimPageSchema> {
  return { itemsMax, ...(from === undefined ? {} : { from }) };
}

export function pageFromMessage({ from, itemsMax }: ClaimPageMessage): ClaimPage {
  return { from, itemsMax: itemsMax || undefined };
}

export function claimFromMessage({ position, endOffset, pending, next }: ClaimPartitionResponse): ClaimResult {
  const found = { position, endOffset, pending: pending.map(pendingFromMessage) };
  return next === undefined ? found : { ...found, next };
}
