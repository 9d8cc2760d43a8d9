/**
 * AdminService.SettlePending: an operator settles what a consumer was given. Nobody settles past a fence: where a member owns the partition its own broker's
 * dispatcher does it, under that owner's epoch; where nobody does, this broker joins the group for a moment and settles as the owner that it is then.
 */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { checkName, GmqError, limits } from "@gmq/protocol";
import {
  type AdminServiceSettlePendingRequest,
  type AdminServiceSettlePendingResponse,
  AdminServiceSettlePendingResponseSchema,
  PendingAction,
} from "@gmq/protocol/messages";
import {
  type ClaimResult,
  type Engine,
  type GroupMember,
  type Ownership,
  type PendingEntry,
  pagesOf,
  type SettleRange,
  type SettleRefusal,
  type TopicPartition,
} from "@gmq/storage";
import { errorToMessage } from "@gmq/transport";
import type { Dispatcher } from "./dispatcher-handle.js";
import type { Dispatchers } from "./dispatchers.js";
import type { Membership, Memberships } from "./membership.js";
import { checkGroup } from "./messages.js";
import { createRefuse } from "./settle-ranges.js";

/** What it needs of a broker. */
export interface SettlePendingContext {
  readonly engine: Engine;
  readonly memberships: Pick<Memberships, "join">;
  readonly dispatchers: Pick<Dispatchers, "find">;
  readonly brokerId: string;
}

/** Below the time that a caller waits for its answer as a rule. */
const claimTimeoutMs = 4_000;

/**
 * One outcome for each offset, in order; what moved on meanwhile is refused by itself.
 * @throws GmqError `invalid_argument`, `group_not_found`, `topic_not_found`, `conflict` (paused, or changing hands), `unavailable`, `fenced` (nothing changed)
 */
export async function settlePending(
  { engine, memberships, dispatchers, brokerId }: SettlePendingContext,
  request: AdminServiceSettlePendingRequest,
): Promise<AdminServiceSettlePendingResponse> {
  const { topic, partition, dryRun } = request;
  const takeBack = request.action === PendingAction.CLAIM;
  const group = checkGroup(request.group);
  const place = { topic: checkName("topic", topic), partition };
  const ranges = rangesOf(request);
  const view = await engine.groups.get(group);
  if (view === undefined) throw new GmqError("group_not_found", `there is no group ${group}`, { field: "group" });
  const own = view.partitions.find((one) => one.topic === topic && one.partition === partition);
  if (own === undefined)
    throw new GmqError("topic_not_found", `the group ${group} does not consume ${topic}`, { field: "topic" });
  const desks = view.members.filter(({ kind, topics }) => kind === "desk" && topics.includes(topic));
  if (desks.length > 0) {
    const reader = dispatchers.find(group, place);
    return await settleAtDesk(engine, { group, place, dryRun, takeBack, ranges }, reader, desks, brokerId);
  }
  const owner = view.members.find(({ memberId }) => memberId === own.memberId);
  if (owner !== undefined && owner.brokerId !== brokerId) {
    return create(AdminServiceSettlePendingResponseSchema, { ownerBrokerId: owner.brokerId });
  }
  if (owner === undefined && own.hold !== undefined) {
    throw new GmqError("conflict", `the group is held here (${own.hold}): nobody may settle until it goes on`, {
      field: "group",
    });
  }
  if (owner === undefined && (request.action === PendingAction.RETRY || takeBack)) {
    throw new GmqError("conflict", "nobody owns the partition, so there is nobody to deliver to", { field: "action" });
  }
  const reader = dispatchers.find(group, place);
  if (owner !== undefined && reader === undefined) {
    throw new GmqError("conflict", "the partition is changing hands: ask again", { field: "partition" });
  }
  if (reader !== undefined && (takeBack || !dryRun))
    return answer(ranges, await reader.settleFor(ranges, { takeBack, dryRun }));
  if (dryRun) return answer(ranges, refusalsBy(await pendingUpTo(engine.groups, group, place, ranges), ranges));
  return answer(ranges, await settleAsMember({ engine, memberships, brokerId }, group, place, ranges));
}

/** A shared group's records are with desks of one or more brokers: this one settles what its own has, and says who else may have the rest. */
async function settleAtDesk(
  { groups }: Engine,
  { group, place, dryRun, takeBack, ranges }: Asked,
  reader: Dispatcher | undefined,
  desks: readonly GroupMember[],
  brokerId: string,
): Promise<AdminServiceSettlePendingResponse> {
  const others = desks.map((desk) => desk.brokerId).filter((id) => id !== brokerId);
  if (reader === undefined) {
    const [first, ...otherBrokerIds] = others;
    if (first === undefined) {
      throw new GmqError("conflict", "the broker has not begun to read the partition: ask again", {
        field: "partition",
      });
    }
    return create(AdminServiceSettlePendingResponseSchema, { ownerBrokerId: first, otherBrokerIds });
  }
  // Who holds a record only its desk knows; whatever else is asked, the store does.
  if (dryRun && !takeBack) return answer(ranges, refusalsBy(await pendingUpTo(groups, group, place, ranges), ranges));
  const refusals = await reader.settleFor(ranges, { takeBack, dryRun });
  const pending = refusals.length === 0 ? [] : await pendingUpTo(groups, group, place, refusals);
  const refuse = createRefuse();
  // What this desk does not know and the store still has is with another one.
  const told = refusals.map((refusal) =>
    refusal.error.code === "already_settled" && entryOf(pending, refusal.firstOffset) !== undefined
      ? refuse({ ...refusal, verb: "ack" }, "not_delivered")
      : refusal,
  );
  return { ...answer(ranges, told), otherBrokerIds: others };
}

interface Asked {
  readonly group: string;
  readonly place: TopicPartition;
  readonly dryRun: boolean;
  readonly takeBack: boolean;
  readonly ranges: readonly SettleRange[];
}

function rangesOf({ offsets, action, reason }: AdminServiceSettlePendingRequest): SettleRange[] {
  const distinct = [...new Set(offsets)];
  if (distinct.length === 0 || distinct.length > limits.browseRecordsMax || distinct.some((offset) => offset < 0n)) {
    throw new GmqError("invalid_argument", `${offsets.length} offsets are named`, {
      field: "offsets",
      limit: `1 to ${limits.browseRecordsMax} offsets, 0 or more each`,
    });
  }
  if (Buffer.byteLength(reason) > limits.rejectReasonBytesMax) {
    throw new GmqError("invalid_argument", "the reason is too long", {
      field: "reason",
      limit: `${limits.rejectReasonBytesMax} bytes`,
    });
  }
  const verb = verbs[action];
  if (verb === undefined) {
    throw new GmqError("invalid_argument", `action ${action} is not known`, {
      field: "action",
      limit: "1 ack, 2 retry, 3 dead letter, 4 claim",
    });
  }
  const detail = verb === "reject" ? { reason: reason === "" ? "operator" : reason, errorText: "" } : {};
  return distinct.map((offset) => ({ firstOffset: offset, lastOffset: offset, verb, ...detail }));
}

const verbs: Readonly<Partial<Record<PendingAction, SettleRange["verb"]>>> = {
  [PendingAction.ACK]: "ack",
  [PendingAction.RETRY]: "release",
  [PendingAction.DEAD_LETTER]: "reject",
  [PendingAction.CLAIM]: "release",
};

/** What is pending, of so many pages as reach to the last offset. */
async function pendingUpTo(
  groups: Engine["groups"],
  group: string,
  place: TopicPartition,
  ranges: readonly { readonly firstOffset: bigint }[],
): Promise<PendingEntry[]> {
  const pages: (readonly PendingEntry[])[] = [];
  for await (const page of pagesOf((asked) => groups.pending(group, place, asked))) {
    pages.push(page.pending);
    const { next } = page;
    if (next !== undefined && ranges.every(({ firstOffset }) => firstOffset < next)) break;
  }
  return pages.flat();
}

/** Those that are not pending. */
function refusalsBy(pending: readonly PendingEntry[], ranges: readonly SettleRange[]): SettleRefusal[] {
  const refuse = createRefuse();
  return ranges
    .filter(({ firstOffset }) => entryOf(pending, firstOffset) === undefined)
    .map((range) => refuse(range, "not_delivered"));
}

function entryOf(pending: readonly PendingEntry[], offset: bigint): PendingEntry | undefined {
  return pending.find(({ baseOffset, recordCount, states }) => {
    const index = Number(offset - baseOffset);
    return index >= 0 && index < recordCount && (states === "" || states[index] === ".");
  });
}

/** Joins, owns, settles and leaves. What the claim takes over counts a hand-back for its entries, as any take-over does. */
async function settleAsMember(
  { engine, memberships, brokerId }: Omit<SettlePendingContext, "dispatchers">,
  group: string,
  { topic, partition }: TopicPartition,
  ranges: readonly SettleRange[],
): Promise<readonly SettleRefusal[]> {
  const memberId = `operator-${randomUUID()}`;
  const claimed = Promise.withResolvers<{ readonly ownership: Ownership; readonly claim: ClaimResult }>();
  let membership: Membership | undefined;
  membership = await memberships.join(
    {
      group,
      memberId,
      incarnation: memberId,
      clientId: "operator",
      clientVersion: "",
      brokerId,
      topics: [topic],
      sessionTimeoutMs: limits.sessionTimeoutMsDefault,
      staticMember: false,
    },
    "latest",
    {
      assigned(ownership, claim) {
        if (ownership.partition === partition && ownership.topic === topic) claimed.resolve({ ownership, claim });
      },
      // Somebody who means to consume goes first.
      revoke: (asked) => void membership?.release([asked]),
      lost: (_place, error) => claimed.reject(error),
      ended: (error) => claimed.reject(error),
    },
  );
  const timer = setTimeout(() => {
    claimed.reject(new GmqError("conflict", "another consumer took the partition: ask again", { field: "partition" }));
  }, claimTimeoutMs);
  try {
    const { ownership, claim } = await claimed.promise;
    const refusals = refusalsBy(claim.pending, ranges);
    const refused = new Set(refusals.map(({ firstOffset }) => firstOffset));
    const byEntry = new Map<PendingEntry, SettleRange[]>();
    for (const range of ranges) {
      const entry = entryOf(claim.pending, range.firstOffset);
      if (entry !== undefined && !refused.has(range.firstOffset))
        byEntry.set(entry, [...(byEntry.get(entry) ?? []), range]);
    }
    const entries = Array.from(byEntry, ([{ baseOffset, recordCount }, own]) => ({
      baseOffset,
      recordCount,
      ranges: own,
    }));
    if (entries.length === 0) return refusals;
    const [outcome] = await engine.groups.settle([{ ownership, entries }]);
    if (outcome === undefined) throw new GmqError("internal", "a settle was left unanswered");
    if (!outcome.ok) throw outcome.error;
    return [...refusals, ...outcome.refusals];
  } finally {
    clearTimeout(timer);
    claimed.promise.catch(passedOn);
    await membership.end({ leave: true }).catch(passedOn);
  }
}

function passedOn(_error: unknown): void {
  // It was thrown already, or a member that cannot leave runs out by itself.
}

function answer(ranges: readonly SettleRange[], refusals: readonly SettleRefusal[]): AdminServiceSettlePendingResponse {
  const errors = new Map(refusals.map(({ firstOffset, error }) => [firstOffset, error]));
  return create(AdminServiceSettlePendingResponseSchema, {
    outcomes: ranges.map(({ firstOffset: offset }) => {
      const error = errors.get(offset);
      return error === undefined ? { offset } : { offset, error: errorToMessage(error) };
    }),
  });
}
