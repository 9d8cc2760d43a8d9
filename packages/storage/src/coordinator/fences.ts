/** Who lost a partition without giving it back: kept beside the group for a while, so that an operator can be told at every broker. */
import type { GroupMember, PartitionFence, TopicPartition } from "../engine.js";
import { type GroupDocument, type GroupFence, sessionOf } from "./group-document.js";
import type { GroupEvent } from "./reconcile.js";

/** A fence is told for so long, in ms: it explains a break and records that come twice, and then nothing any more; later events drop it. */
export const fenceToldMs = 60_000;
/** Kept in a group, the latest first: a member with more partitions than that is told of in some of them. */
const fencesMax = 1_000;

/**
 * The fences after an event: the last one of each partition. Pure. A look at a group to which nothing happened leaves them as they are, so that time alone
 * makes no new version.
 */
export function nextFences(
  before: GroupDocument,
  after: GroupDocument,
  event: GroupEvent,
  nowMs: number,
): readonly GroupFence[] {
  const known = before.fences ?? [];
  if (Object.keys(event).length === 0) return known;
  const places = new Set(after.partitions.map(placeOf));
  const fresh = before.partitions
    .filter((partition) => places.has(placeOf(partition)))
    .flatMap(({ topic, partition, memberId }) => {
      const fence = fenceOf(before.members, { topic, partition }, memberId, event);
      return fence === undefined ? [] : [{ topic, partition, ...fence, atMs: nowMs }];
    });
  const replaced = new Set(fresh.map(placeOf));
  const staying = known.filter(
    (fence) => nowMs - fence.atMs < fenceToldMs && places.has(placeOf(fence)) && !replaced.has(placeOf(fence)),
  );
  return [...fresh, ...staying].slice(0, fencesMax);
}

function fenceOf(
  members: readonly GroupMember[],
  place: TopicPartition,
  memberId: string | undefined,
  { expired = [], join, hold }: GroupEvent,
): Omit<PartitionFence, "atMs"> | undefined {
  const isExpired = (member: GroupMember): boolean => expired.includes(sessionOf(member));
  // Without an owner the partition is read by desks.
  const reader = members.find((member) =>
    memberId === undefined
      ? member.kind === "desk" && member.topics.includes(place.topic) && isExpired(member)
      : member.memberId === memberId,
  );
  if (reader === undefined) return undefined;
  if (isExpired(reader)) return { memberId: reader.memberId, reason: "expired" };
  if (join?.memberId === reader.memberId && join.incarnation !== reader.incarnation) {
    return { memberId: reader.memberId, reason: "replaced" };
  }
  const isReset = hold?.fence === true && hold.partitions.some((held) => placeOf(held) === placeOf(place));
  return isReset ? { memberId: reader.memberId, reason: "reset" } : undefined;
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
