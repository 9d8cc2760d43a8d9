/** Why a group does not move on in a partition: everything that is true of it, the most telling first. */
import { GmqError } from "@gmq/protocol";
import type {
  Engine,
  GroupMember,
  GroupPartitionOffsets,
  GroupView,
  PartitionOwnership,
  PendingEntry,
  StoreStatus,
  TopicPartition,
} from "@gmq/storage";
import type { Dispatcher } from "./dispatcher.js";

/** One true thing about a group in a partition. Codes are listed at gmq.v1.GroupCondition. */
export interface GroupCondition {
  readonly code: string;
  readonly text: string;
}

/**
 * Explains; `reader` is this broker's dispatcher of the partition, if it has one. Never empty.
 * @throws GmqError `group_not_found`, `topic_not_found`, `partition_not_found`
 */
export async function explainGroup(
  engine: Engine,
  brokerId: string,
  reader: Dispatcher | undefined,
  group: string,
  place: TopicPartition,
): Promise<GroupCondition[]> {
  const view = await engine.groups.get(group);
  if (view === undefined) throw new GmqError("group_not_found", `there is no group ${group}`, { field: "group" });
  const own = view.partitions.find((one) => one.topic === place.topic && one.partition === place.partition);
  if (own === undefined) throw await missing(engine, group, place);
  const [offsets, pending, store] = await Promise.all([
    engine.groups.offsets(group),
    engine.groups.pending(group, place),
    engine.status(),
  ]);
  const at = offsets.find((one) => one.topic === place.topic && one.partition === place.partition);
  const found = [
    ...(store.ready ? [] : [{ code: "store_unavailable", text: `the store cannot serve: ${store.reason}` }]),
    ...ownershipOf(view, own, brokerId, reader),
    ...progressOf(at, pending),
  ];
  const conditions = [...found, ...readerOf(reader, at)];
  if (conditions.length === 0) conditions.push({ code: "moving", text: "records are being read and delivered" });
  return [...conditions, ...readOnlyOf(store), ...lostOf(at)];
}

async function missing(engine: Engine, group: string, { topic, partition }: TopicPartition): Promise<GmqError> {
  const info = await engine.topics.get(topic);
  if (info !== undefined && partition >= info.config.partitions) {
    return new GmqError("partition_not_found", `the topic ${topic} has no partition ${partition}`, {
      field: "partition",
      limit: `0 to ${info.config.partitions - 1}`,
    });
  }
  return new GmqError("topic_not_found", `the group ${group} does not consume ${topic}`, { field: "topic" });
}

function ownershipOf(
  { members }: GroupView,
  { topic, memberId, nextMemberId, hold }: PartitionOwnership,
  brokerId: string,
  reader: Dispatcher | undefined,
): GroupCondition[] {
  if (hold === "paused") return [{ code: "paused", text: "the group is paused here: resume it" }];
  if (hold === "reset") return [{ code: "resetting", text: "the group is being reset" }];
  if (memberId === undefined && members.some(({ kind }) => kind !== undefined)) {
    return sharedOf(members, topic, brokerId, reader);
  }
  if (memberId === undefined) {
    if (members.length === 0) return [{ code: "no_member", text: "the group has no member: start a consumer" }];
    return [{ code: "no_subscriber", text: `none of the group's ${members.length} members subscribes to ${topic}` }];
  }
  const owner = members.find((member) => member.memberId === memberId);
  if (nextMemberId !== undefined) {
    return [{ code: "handing_over", text: `${memberId} was asked to give the partition to ${nextMemberId}` }];
  }
  if (owner !== undefined && owner.brokerId !== brokerId) {
    const text = `${memberId} is connected to the broker ${owner.brokerId}: ask that one for its credit`;
    return [{ code: "owner_elsewhere", text }];
  }
  return reader === undefined ? [{ code: "claiming", text: `${memberId} has not taken the partition over yet` }] : [];
}

/** A shared group's partition is read by a desk for each broker that has consumers of it. */
function sharedOf(
  members: readonly GroupMember[],
  topic: string,
  brokerId: string,
  reader: Dispatcher | undefined,
): GroupCondition[] {
  const desks = members.filter(({ kind, topics }) => kind === "desk" && topics.includes(topic));
  if (desks.length === 0) {
    return [{ code: "no_subscriber", text: `none of the group's members takes records of ${topic}` }];
  }
  if (reader !== undefined) return [];
  const isHere = desks.some((desk) => desk.brokerId === brokerId);
  if (isHere) return [{ code: "claiming", text: "the broker's desk has not begun to read the partition yet" }];
  const brokers = desks.map((desk) => desk.brokerId).join(", ");
  return [{ code: "owner_elsewhere", text: `the group's consumers are at ${brokers}: ask there for their credit` }];
}

function progressOf(at: GroupPartitionOffsets | undefined, pending: readonly PendingEntry[]): GroupCondition[] {
  if (at === undefined) return [];
  const found: GroupCondition[] = [];
  if (at.lagRecords === 0) return [{ code: "caught_up", text: `every record up to ${at.endOffset} is settled` }];
  const oldest = oldestUnsettled(pending);
  if (oldest === undefined) return found;
  const { offset, attempts, dueInMs } = oldest;
  const failed = attempts === 0 ? "" : ` after ${attempts} failed attempts`;
  if (dueInMs > 0)
    found.push({ code: "delayed", text: `offset ${offset} waits ${dueInMs} ms for its next attempt${failed}` });
  else if (attempts > 0) found.push({ code: "retry_waiting", text: `offset ${offset} and its key wait${failed}` });
  else {
    found.push({
      code: "in_flight",
      text: `${at.unsettledRecords} records are handed out and not settled, the oldest is offset ${offset}`,
    });
  }
  return found;
}

/** What is stored is still delivered and settled, but nothing new comes. */
function readOnlyOf({ ready, reason }: StoreStatus): GroupCondition[] {
  if (!ready || reason === "") return [];
  return [{ code: "store_read_only", text: `the store takes no new records: ${reason}` }];
}

/** Last, as it stays true for good. */
function lostOf(at: GroupPartitionOffsets | undefined): GroupCondition[] {
  if (at === undefined || at.lostRecords === 0) return [];
  const text = `${at.lostRecords} records were removed by retention or a purge before the group had settled them; the log begins at ${at.startOffset}`;
  return [{ code: "behind_retention", text }];
}

function readerOf(reader: Dispatcher | undefined, at: GroupPartitionOffsets | undefined): GroupCondition[] {
  if (reader === undefined || at?.lagRecords === 0) return [];
  switch (reader.waitsFor) {
    case "credit":
      return [
        {
          code: "no_credit",
          text: "the consumer has as much in flight as it allows: it settles nothing or reads slowly",
        },
      ];
    case "room":
      return [{ code: "client_not_reading", text: "the consumer's connection is full: it does not read" }];
    case "store retry":
      return [{ code: "store_unavailable", text: "the store did not answer the last read: it is asked again" }];
    default:
      return [];
  }
}

function oldestUnsettled(pending: readonly PendingEntry[]) {
  for (const { baseOffset, recordCount, states, attempts, due } of pending) {
    for (let index = 0; index < recordCount; index++) {
      if (states !== "" && states[index] !== ".") continue;
      return {
        offset: baseOffset + BigInt(index),
        attempts: attempts.find((item) => item.index === index)?.attempts ?? 0,
        dueInMs: due.find((item) => item.index === index)?.inMs ?? 0,
      };
    }
  }
  return undefined;
}
