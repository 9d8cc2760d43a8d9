/** Why a group does not move on in a partition: everything that is true of it, the most telling first. */
import { decodeEntry, GmqError, limits } from "@gmq/protocol";
import type {
  Engine,
  GroupMember,
  GroupPartitionOffsets,
  GroupView,
  LogStore,
  PartitionFence,
  PartitionOwnership,
  ScheduledBatches,
  StoreStatus,
  TopicPartition,
} from "@gmq/storage";
import { fenceToldMs, pagesOf } from "@gmq/storage";
import type { Dispatcher } from "./dispatcher-handle.js";

/** One true thing about a group in a partition. Codes are listed at gmq.v1.GroupCondition. */
export interface GroupCondition {
  readonly code: string;
  readonly text: string;
}

/** Who explains, and to whom. */
export interface ExplainContext {
  readonly engine: Engine;
  readonly brokerId: string;
  /** This broker's dispatcher of the partition, if it has one. */
  readonly reader: Dispatcher | undefined;
  /** Whether the caller may read the topic's records: only then a key is told. */
  readonly mayRead: boolean;
}

/** Bytes of a key that are told. */
const keyBytesMax = 64;

/**
 * Explains. Never empty.
 * @throws GmqError `group_not_found`, `topic_not_found`, `partition_not_found`
 */
export async function explainGroup(
  { engine, brokerId, reader, mayRead }: ExplainContext,
  group: string,
  place: TopicPartition,
): Promise<GroupCondition[]> {
  const view = await engine.groups.get(group);
  if (view === undefined) throw new GmqError("group_not_found", `there is no group ${group}`, { field: "group" });
  const own = view.partitions.find((one) => one.topic === place.topic && one.partition === place.partition);
  if (own === undefined) throw await missing(engine, group, place);
  const [offsets, oldest, store, scheduled] = await Promise.all([
    engine.groups.offsets(group),
    oldestUnsettled(engine.groups, group, place),
    engine.status(),
    engine.log.scheduled(place),
  ]);
  const at = offsets.find((one) => one.topic === place.topic && one.partition === place.partition);
  const found = [
    ...(store.ready ? [] : [{ code: "store_unavailable", text: `the store cannot serve: ${store.reason}` }]),
    ...ownershipOf(view, own, brokerId, reader),
    ...fenceOf(own.fence),
    ...(await progressOf(at, oldest, (offset) => keyText(engine.log, place, offset, mayRead))),
  ];
  const conditions = [...found, ...readerOf(reader, at)];
  if (conditions.length === 0) conditions.push({ code: "moving", text: "records are being read and delivered" });
  return [...conditions, ...scheduledOf(scheduled), ...readOnlyOf(store), ...lostOf(at)];
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

const fenceReasons: Readonly<Record<string, string>> = {
  expired: "its session ran out",
  replaced: "another session of the same member took over",
  reset: "the group was reset",
};

/** The clocks of store and broker may differ: it is never told as later than now. */
function fenceOf(fence: PartitionFence | undefined): GroupCondition[] {
  if (fence === undefined) return [];
  const agoMs = Math.max(0, Date.now() - fence.atMs);
  if (agoMs >= fenceToldMs) return [];
  const reason = fenceReasons[fence.reason] ?? fence.reason;
  const text = `${fence.memberId} was fenced ${seconds(agoMs)} ago (${timeOf(fence.atMs)}): ${reason}; what it had not settled comes again, and what it still settles is refused`;
  return [{ code: "fenced", text }];
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 1_000)} s`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** What comes into the log later: nobody can read it yet. */
function scheduledOf({ batches, nextInMs }: ScheduledBatches): GroupCondition[] {
  if (nextInMs === undefined) return [];
  const what = batches === 1 ? "1 record waits for its" : `${batches} records wait for their`;
  const text = `${what} deliverAt, the next one is due in ${seconds(nextInMs)} (${timeOf(Date.now() + nextInMs)})`;
  return [{ code: "scheduled", text }];
}

/** The key of a record as text, or what else there is to say of it; "" when the caller may not read it, and when the record has none or is gone. */
async function keyText(
  log: Pick<LogStore, "read">,
  { topic, partition }: TopicPartition,
  offset: bigint,
  mayRead: boolean,
): Promise<string> {
  if (!mayRead) return "";
  const { entries } = await log.read({
    topic,
    partition,
    from: { offset },
    entriesMax: 1,
    bytesMax: limits.fetchBytesDefault,
  });
  const [entry] = entries;
  if (entry === undefined) return "";
  for await (const record of decodeEntry(entry)) {
    if (record.offset === offset && record.key !== undefined) return ` (key ${shownKey(record.key)})`;
  }
  return "";
}

/** Text where it is UTF-8, else base64; cut to a bound. */
function shownKey(key: Uint8Array): string {
  const cut = key.length > keyBytesMax;
  const suffix = cut ? ` … of ${key.length} bytes` : "";
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(key.subarray(0, keyBytesMax), { stream: cut });
    return `${JSON.stringify(text)}${suffix}`;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return `base64 ${Buffer.from(key.subarray(0, keyBytesMax)).toString("base64")}${suffix}`;
  }
}

async function progressOf(
  at: GroupPartitionOffsets | undefined,
  oldest: Unsettled | undefined,
  keyOf: (offset: bigint) => Promise<string>,
): Promise<GroupCondition[]> {
  if (at === undefined) return [];
  const found: GroupCondition[] = [];
  if (at.lagRecords === 0) return [{ code: "caught_up", text: `every record up to ${at.endOffset} is settled` }];
  if (oldest === undefined) return found;
  const { offset, attempts, dueInMs } = oldest;
  const key = attempts === 0 && dueInMs === 0 ? "" : await keyOf(offset);
  const failed = attempts === 0 ? "" : ` after ${attempts} failed attempts`;
  if (dueInMs > 0)
    found.push({ code: "delayed", text: `offset ${offset}${key} waits ${dueInMs} ms for its next attempt${failed}` });
  else if (attempts > 0)
    found.push({
      code: "retry_waiting",
      text: `offset ${offset} and its key${key.replace("(key ", "(")} wait${failed}`,
    });
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
          text: `the consumer has as much in flight as it allows${since(reader.noCreditSinceMs)}: it settles nothing or reads slowly`,
        },
      ];
    case "room":
      return [{ code: "client_not_reading", text: "the consumer's connection is full: it does not read" }];
    case "store retry":
      return [{ code: "store_unavailable", text: "the store did not answer the last read: it is asked again" }];
    case "retries":
      return [
        {
          code: "delayed",
          text: `${limits.delayedRecordsMax} records or more wait for their next attempt: nothing new is read until fewer do`,
        },
      ];
    default:
      return [];
  }
}

function since(ms: number | undefined): string {
  return ms === undefined ? "" : ` since ${timeOf(ms)} (${seconds(Math.max(0, Date.now() - ms))})`;
}

interface Unsettled {
  readonly offset: bigint;
  readonly attempts: number;
  readonly dueInMs: number;
}

/** As a rule in the first page, so that a small one will do. */
async function oldestUnsettled(
  groups: Engine["groups"],
  group: string,
  place: TopicPartition,
): Promise<Unsettled | undefined> {
  const itemsMax = limits.browseRecordsMax;
  for await (const { pending } of pagesOf((page) => groups.pending(group, place, { ...page, itemsMax }))) {
    for (const { baseOffset, recordCount, states, attempts, due } of pending) {
      const index = states === "" ? 0 : states.indexOf(".");
      if (index < 0 || index >= recordCount) continue;
      return {
        offset: baseOffset + BigInt(index),
        attempts: attempts.find((item) => item.index === index)?.attempts ?? 0,
        dueInMs: due.find((item) => item.index === index)?.inMs ?? 0,
      };
    }
  }
  return undefined;
}
