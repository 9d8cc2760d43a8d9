/**
 * What becomes of a group when something happened to it. Pure: the coordinator loads the document, calls this, and saves by compare-and-set.
 *
 * A partition passes on in two phases: an owner that is alive keeps it with `nextMemberId` set until it releases it (or its session ends); only then the
 * next owner gets it, under a higher epoch. What nobody owns is given at once. So no partition ever has two owners under one epoch.
 */
import type { GroupMember, PartitionOwnership, TopicInfo, TopicPartition } from "../engine.js";
import { heldMember } from "../engine-groups.js";
import { assign } from "./assign.js";
import { type GroupDocument, type GroupHold, type GroupTopic, pausedHold, sessionOf } from "./group-document.js";

/** What happened; all of it at once. */
export interface GroupEvent {
  /** Sessions (`sessionOf`) that ran out. */
  readonly expired?: readonly string[];
  readonly join?: GroupMember;
  /** Session that leaves. */
  readonly leave?: string;
  /** Session that gives partitions back. */
  readonly release?: { readonly session: string; readonly partitions: readonly TopicPartition[] };
  /** Partitions that nobody may own from now on. `fence`: their owners lose them at once, else they are asked to give them back. */
  readonly hold?: { readonly name: string; readonly partitions: readonly TopicPartition[]; readonly fence: boolean };
  /** Lifts the holds of this name, in these topics when they are given. */
  readonly lift?: { readonly name: string; readonly topics?: readonly string[] };
}

/** Topics as they are now, by name; one that is missing does not exist (any more). */
export type CurrentTopics = ReadonlyMap<string, TopicInfo>;

/** The group after the event; an event without effect gives an equal document. */
export function reconcile(document: GroupDocument, event: GroupEvent, current: CurrentTopics): GroupDocument {
  let { epoch } = document;
  const members = nextMembers(document.members, event, () => ++epoch);
  const topics = nextTopics(document.topics, members, current);
  const known = allPartitions(document, topics, current);
  const { released, takenOver } = effectOf(document, event);
  const memberById = new Map(members.map((member) => [member.memberId, member]));
  const holds = nextHolds([...document.holds, ...holdsOfAdded(document, known)], event, known);
  const heldPlaces = new Set(holds.map(placeOf));
  const fenced = new Set(event.hold?.fence === true ? event.hold.partitions.map(placeOf) : []);

  const held = known.map((partition) => {
    const { topic, memberId } = partition;
    if (fenced.has(placeOf(partition))) return { ...partition, memberId: undefined, epoch: ++epoch };
    if (memberId === undefined) return partition;
    const owner = memberById.get(memberId);
    const subscribes = owner?.kind === undefined && owner?.topics.includes(topic) === true;
    if (!subscribes || released.has(placeOf(partition))) return { ...partition, memberId: undefined };
    // The same member in a new life keeps its partitions; the higher epoch fences its old one.
    return memberId === takenOver ? { ...partition, epoch: ++epoch } : partition;
  });

  const free = held.filter((partition) => !heldPlaces.has(placeOf(partition)));
  const owners = members.filter(({ kind }) => kind === undefined);
  const targets = assign(owners, free);
  const targetOf = new Map(free.map((partition, index) => [placeOf(partition), targets[index]]));
  const partitions = held.map((partition): PartitionOwnership => {
    if (heldPlaces.has(placeOf(partition))) {
      return { ...partition, nextMemberId: partition.memberId === undefined ? undefined : heldMember };
    }
    const target = targetOf.get(placeOf(partition));
    if (target === undefined) return { ...partition, memberId: undefined, nextMemberId: undefined };
    if (partition.memberId === target) return { ...partition, nextMemberId: undefined };
    if (partition.memberId !== undefined) return { ...partition, nextMemberId: target };
    return { ...partition, memberId: target, epoch: ++epoch, nextMemberId: undefined };
  });
  return { epoch, topics, members, partitions, holds };
}

/** What is added to a topic that is paused, all of it, is paused too. */
function holdsOfAdded(document: GroupDocument, known: readonly TopicPartition[]): GroupHold[] {
  const before = new Set(document.partitions.map(placeOf));
  const paused = new Set(document.holds.filter(({ name }) => name === pausedHold).map(placeOf));
  if (paused.size === 0) return [];
  const topics = new Set(document.partitions.map(({ topic }) => topic));
  for (const partition of document.partitions) if (!paused.has(placeOf(partition))) topics.delete(partition.topic);
  return known
    .filter((partition) => topics.has(partition.topic) && !before.has(placeOf(partition)))
    .map(({ topic, partition }) => ({ topic, partition, name: pausedHold }));
}

/** Holds that stand after the event, on partitions that are there. */
function nextHolds(
  holds: readonly GroupHold[],
  { hold, lift, expired }: GroupEvent,
  known: readonly TopicPartition[],
): GroupHold[] {
  const places = new Set(known.map(placeOf));
  const gone = new Set(expired);
  const lifted = ({ name, topic }: GroupHold): boolean =>
    gone.has(name) || (name === lift?.name && (lift.topics === undefined || lift.topics.includes(topic)));
  const added = (hold?.partitions ?? []).map(({ topic, partition }) => ({ topic, partition, name: hold?.name ?? "" }));
  const renewed = new Set(added.map(placeOf));
  const staying = holds.filter((one) => !lifted(one) && !(one.name === hold?.name && renewed.has(placeOf(one))));
  return [...staying, ...added].filter((one) => places.has(placeOf(one)));
}

/** What the event frees: places that their owner gives back, and the member whose earlier life ended with a join. */
function effectOf(document: GroupDocument, { join, release }: GroupEvent) {
  const releasing = document.members.find((member) => sessionOf(member) === release?.session)?.memberId;
  const owned = document.partitions.filter(({ memberId }) => memberId !== undefined && memberId === releasing);
  const named = new Set(release?.partitions.map(placeOf));
  const earlier = document.members.find(({ memberId }) => memberId === join?.memberId);
  return {
    released: new Set(owned.map(placeOf).filter((place) => named.has(place))),
    takenOver: earlier !== undefined && earlier.incarnation !== join?.incarnation ? earlier.memberId : undefined,
  };
}

function nextMembers(
  members: readonly GroupMember[],
  { expired, join, leave }: GroupEvent,
  nextEpoch: () => number,
): GroupMember[] {
  const gone = new Set([...(expired ?? []), ...(leave === undefined ? [] : [leave])]);
  const staying = members.filter((member) => !gone.has(sessionOf(member)) && member.memberId !== join?.memberId);
  const earlier = members.find(({ memberId }) => memberId === join?.memberId);
  const all = join === undefined ? staying : [...staying, withEpoch(join, earlier, nextEpoch)];
  return all.sort((left, right) => (left.memberId < right.memberId ? -1 : 1));
}

/** A new life of a desk gets an epoch of its own: the higher one fences what an earlier life still does. */
function withEpoch(join: GroupMember, earlier: GroupMember | undefined, nextEpoch: () => number): GroupMember {
  if (join.kind !== "desk") return join;
  const known = earlier?.incarnation === join.incarnation ? earlier.epoch : undefined;
  return { ...join, epoch: known ?? nextEpoch() };
}

/** Subscribed topics and those known before, as far as they exist: the group's place in a topic outlives its subscribers. */
function nextTopics(
  known: readonly GroupTopic[],
  members: readonly GroupMember[],
  current: CurrentTopics,
): GroupTopic[] {
  const names = new Set([...known.map(({ topic }) => topic), ...members.flatMap((member) => member.topics)]);
  return [...names].sort().flatMap((topic) => {
    const info = current.get(topic);
    return info === undefined ? [] : [{ topic, createdAtMs: info.createdAtMs }];
  });
}

/** Every partition of these topics. One that the group does not know, or knows from an earlier life of its topic, has no owner. */
function allPartitions(
  document: GroupDocument,
  topics: readonly GroupTopic[],
  current: CurrentTopics,
): PartitionOwnership[] {
  const knownPlaces = new Map(document.partitions.map((partition) => [placeOf(partition), partition]));
  const knownLives = new Map(document.topics.map(({ topic, createdAtMs }) => [topic, createdAtMs]));
  return topics.flatMap(({ topic, createdAtMs }) => {
    const isKnown = knownLives.get(topic) === createdAtMs;
    return Array.from({ length: current.get(topic)?.config.partitions ?? 0 }, (_, partition) => {
      const known = isKnown ? knownPlaces.get(placeOf({ topic, partition })) : undefined;
      return known ?? { topic, partition, memberId: undefined, epoch: 0, nextMemberId: undefined };
    });
  });
}

/** Partitions of `after` that are new to the group: added, of a new topic, or of a topic that was made again. */
export function newPartitions(before: GroupDocument, after: GroupDocument): TopicPartition[] {
  const lives = new Map(before.topics.map(({ topic, createdAtMs }) => [topic, createdAtMs]));
  const made = new Set(
    after.topics.filter(({ topic, createdAtMs }) => lives.get(topic) !== createdAtMs).map(({ topic }) => topic),
  );
  const places = new Set(before.partitions.map(placeOf));
  return after.partitions
    .filter((partition) => made.has(partition.topic) || !places.has(placeOf(partition)))
    .map(({ topic, partition }) => ({ topic, partition }));
}

function placeOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
