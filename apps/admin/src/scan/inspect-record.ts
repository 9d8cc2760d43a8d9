import { create } from "@bufbuild/protobuf";
import { GmqError, limits } from "@gmq/protocol";
import {
  type PortalServiceInspectRecordRequest,
  type PortalServiceInspectRecordResponse,
  PortalServiceInspectRecordResponseSchema,
  type RecordInGroup,
  RecordInGroupSchema,
  RecordState,
} from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { inTurns } from "../calls/in-turns.js";
import { listPending } from "../calls/list-pending.js";
import { cutRecord } from "./cut-record.js";
import { createBrowse } from "./partition-scan.js";

const groupsMax = 100;
const callsAtOnce = 8;

/** One record whole, its neighbours and its state in every group of the topic. @throws GmqError `invalid_argument` when nothing is kept at the offset */
export async function inspectRecord(
  brokers: Brokers,
  { topic, partition, offset }: PortalServiceInspectRecordRequest,
  signal: AbortSignal,
): Promise<PortalServiceInspectRecordResponse> {
  const browse = createBrowse(brokers, topic, signal);
  // Two before it, so that a lost tail in between seldom hides its neighbour.
  const from = offset > 2n ? offset - 2n : 0n;
  const [{ records, startOffset, endOffset }, groups] = await Promise.all([
    browse(partition, { case: "offset", value: from }, 8),
    groupsOf(brokers, topic, partition, offset, signal),
  ]);
  const found =
    records.find((record) => record.offset === offset) ??
    // Large neighbours can fill the answer before it.
    (await browse(partition, { case: "offset", value: offset }, 1)).records.find((record) => record.offset === offset);
  if (found === undefined) {
    throw new GmqError("invalid_argument", `there is no record at offset ${offset}`, {
      field: "offset",
      limit: startOffset < endOffset ? `${startOffset} to ${endOffset - 1n}` : "the partition is empty",
    });
  }
  const previous = records.findLast((record) => record.offset < offset);
  const next = records.find((record) => record.offset > offset);
  return create(PortalServiceInspectRecordResponseSchema, {
    record: cutRecord(found, limits.recordBytesMax),
    groups,
    previousOffset: previous?.offset ?? -1n,
    nextOffset: next?.offset ?? (offset + 1n < endOffset ? offset + 1n : -1n),
  });
}

async function groupsOf(
  brokers: Brokers,
  topic: string,
  partition: number,
  offset: bigint,
  signal: AbortSignal,
): Promise<RecordInGroup[]> {
  const { groups } = await brokers.read(({ admin }) => admin.listGroups({}, { signal }), signal);
  const names = groups
    .filter(({ partitions }) => partitions.some((owned) => owned.topic === topic && owned.partition === partition))
    .map(({ group }) => group)
    .sort()
    .slice(0, groupsMax);
  const states: RecordInGroup[] = [];
  await inTurns(names, callsAtOnce, async (group) => {
    const state = await stateIn(brokers, group, { topic, partition, offset }, signal);
    if (state !== undefined) states.push(state);
  });
  return states.sort((left, right) => (left.group < right.group ? -1 : 1));
}

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

/** Undefined: the group does not read the partition any more. */
async function stateIn(
  brokers: Brokers,
  group: string,
  { topic, partition, offset }: Place,
  signal: AbortSignal,
): Promise<RecordInGroup | undefined> {
  const described = await describeGroup(brokers, group, signal);
  const offsets = described?.partitions.find((one) => one.topic === topic && one.partition === partition);
  const owned = described?.group?.partitions.find((one) => one.topic === topic && one.partition === partition);
  if (offsets === undefined) return undefined;
  const { position, unsettledRecords } = offsets;
  const known = { group, position, unsettledRecords, owner: owned?.memberId ?? "" };
  if (offset >= position) return create(RecordInGroupSchema, { ...known, state: RecordState.NOT_REACHED });
  if (unsettledRecords === 0n) return create(RecordInGroupSchema, { ...known, state: RecordState.SETTLED });
  const pending = await listPending(brokers, { group, topic, partition, limit: limits.browseRecordsMax }, signal);
  const own = pending.records.find((record) => record.offset === offset);
  if (own !== undefined) {
    const { attempts, dueInMs, memberId: holder, clientId: holderClientId } = own;
    const state = RecordState.PENDING;
    const silentBrokerId = pending.otherBrokerIds.includes(own.brokerId) ? own.brokerId : "";
    return create(RecordInGroupSchema, {
      ...known,
      state,
      attempts,
      dueInMs,
      holder,
      holderClientId,
      silentBrokerId,
    });
  }
  // The list is in order of offsets: what it reached past is settled.
  const isListed =
    pending.unsettledRecords <= BigInt(pending.records.length) || offset < (pending.records.at(-1)?.offset ?? 0n);
  return create(RecordInGroupSchema, { ...known, state: isListed ? RecordState.SETTLED : RecordState.HANDED_OUT });
}

/** Undefined: the group was deleted meanwhile. */
async function describeGroup(brokers: Brokers, group: string, signal: AbortSignal) {
  try {
    return await brokers.read(({ admin }) => admin.describeGroup({ group }, { signal }), signal);
  } catch (error) {
    if (GmqError.is(error, "group_not_found")) return undefined;
    throw error;
  }
}
