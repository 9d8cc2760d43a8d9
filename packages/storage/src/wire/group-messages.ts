/** Groups: engine values to wire messages and back. */
import { create } from "@bufbuild/protobuf";
import { checkName, GmqError } from "@gmq/protocol";
import {
  type AdminServiceResetGroupRequest,
  GroupMoveSchema,
  GroupPartitionOffsetsSchema,
  type GroupView as GroupViewMessage,
  GroupViewSchema,
  MemberKind as MemberKindMessage,
  type GroupMove as MoveMessage,
  type GroupPartitionOffsets as OffsetsMessage,
  type ResetGroupRequest,
  type StartPosition as StartMessage,
  StartPositionSchema,
} from "@gmq/protocol/messages";
import type {
  GroupMember,
  GroupMove,
  GroupPartitionOffsets,
  GroupReset,
  GroupView,
  MemberKind,
  StartPosition,
} from "../engine.js";

export function groupToMessage({ group, version, epoch, members, partitions }: GroupView): GroupViewMessage {
  return create(GroupViewSchema, {
    group,
    version: BigInt(version),
    epoch: BigInt(epoch),
    members: members.map(({ joinedAtMs, topics, kind, epoch = 0, ...member }) => ({
      ...member,
      topics: [...topics],
      joinedAtMs: BigInt(joinedAtMs),
      kind: kindToMessage(kind),
      epoch: BigInt(epoch),
    })),
    partitions: partitions.map(({ topic, partition, memberId, epoch, nextMemberId, hold, fence }) => ({
      topic,
      partition,
      memberId: memberId ?? "",
      epoch: BigInt(epoch),
      nextMemberId: nextMemberId ?? "",
      hold: hold ?? "",
      ...(fence === undefined ? {} : { fence: { ...fence, atMs: BigInt(fence.atMs) } }),
    })),
  });
}

export function groupFromMessage({ group, version, epoch, members, partitions }: GroupViewMessage): GroupView {
  return {
    group,
    version: Number(version),
    epoch: Number(epoch),
    members: members.map((member) => ({
      group,
      memberId: member.memberId,
      incarnation: member.incarnation,
      clientId: member.clientId,
      clientVersion: member.clientVersion,
      brokerId: member.brokerId,
      topics: member.topics,
      sessionTimeoutMs: member.sessionTimeoutMs,
      staticMember: member.staticMember,
      joinedAtMs: Number(member.joinedAtMs),
      ...(member.heartbeatAgeMs === undefined ? {} : { heartbeatAgeMs: member.heartbeatAgeMs }),
      ...sharingOf(member),
    })),
    partitions: partitions.map(({ topic, partition, memberId, epoch, nextMemberId, hold, fence }) => ({
      topic,
      partition,
      memberId: memberId === "" ? undefined : memberId,
      epoch: Number(epoch),
      nextMemberId: nextMemberId === "" ? undefined : nextMemberId,
      hold: hold === "paused" || hold === "reset" ? hold : undefined,
      ...(fence === undefined
        ? {}
        : { fence: { memberId: fence.memberId, reason: fence.reason, atMs: Number(fence.atMs) } }),
    })),
  };
}

/** As absent as it was given. */
function sharingOf({ kind, epoch }: GroupViewMessage["members"][number]): Pick<GroupMember, "kind" | "epoch"> {
  if (kind === MemberKindMessage.DESK) return { kind: "desk", epoch: Number(epoch) };
  return kind === MemberKindMessage.SHARED ? { kind: "shared" } : {};
}

export function kindToMessage(kind: MemberKind | undefined): MemberKindMessage {
  if (kind === "shared") return MemberKindMessage.SHARED;
  return kind === "desk" ? MemberKindMessage.DESK : MemberKindMessage.UNSPECIFIED;
}

export function kindFromMessage(kind: MemberKindMessage): MemberKind | undefined {
  if (kind === MemberKindMessage.SHARED) return "shared";
  return kind === MemberKindMessage.DESK ? "desk" : undefined;
}

export function offsetsToMessage({
  unsettledRecords,
  lagRecords,
  lagMs,
  lostRecords,
  ...offsets
}: GroupPartitionOffsets): OffsetsMessage {
  return create(GroupPartitionOffsetsSchema, {
    ...offsets,
    unsettledRecords: BigInt(unsettledRecords),
    lagRecords: BigInt(lagRecords),
    lagMs: BigInt(lagMs),
    lostRecords: BigInt(lostRecords),
  });
}

export function offsetsFromMessage(message: OffsetsMessage): GroupPartitionOffsets {
  const { topic, partition, position, unsettledRecords, startOffset, endOffset } = message;
  const { lagRecords, lagMs, lostRecords } = message;
  return {
    topic,
    partition,
    position,
    unsettledRecords: Number(unsettledRecords),
    startOffset,
    endOffset,
    lagRecords: Number(lagRecords),
    lagMs: Number(lagMs),
    lostRecords: Number(lostRecords),
  };
}

export function moveToMessage({ rereadRecords, skippedRecords, ...move }: GroupMove): MoveMessage {
  return create(GroupMoveSchema, {
    ...move,
    rereadRecords: BigInt(rereadRecords),
    skippedRecords: BigInt(skippedRecords),
  });
}

export function moveFromMessage({ topic, partition, before, after, ...counts }: MoveMessage): GroupMove {
  const { rereadRecords, skippedRecords } = counts;
  return {
    topic,
    partition,
    before,
    after,
    rereadRecords: Number(rereadRecords),
    skippedRecords: Number(skippedRecords),
  };
}

/** What a reset asks for; AdminService and StorageService ask in the same shape. @throws GmqError `invalid_name`, `invalid_argument` */
export function resetFromMessage(message: AdminServiceResetGroupRequest | ResetGroupRequest): GroupReset {
  const { group, topic, partitions, to, dryRun, expectedVersion } = message;
  return {
    group: checkName("group", group),
    topic: checkName("topic", topic),
    partitions: partitions.length === 0 ? undefined : partitions,
    to: startFromMessage(to),
    dryRun,
    expectedVersion: expectedVersion === undefined ? undefined : Number(expectedVersion),
  };
}

export function startToMessage(start: StartPosition): StartMessage {
  if (start === "earliest") return create(StartPositionSchema, { position: { case: "earliest", value: true } });
  if (start === "latest") return create(StartPositionSchema, { position: { case: "latest", value: true } });
  return create(StartPositionSchema, {
    position:
      "offset" in start
        ? { case: "offset", value: start.offset }
        : { case: "timestampMs", value: BigInt(start.timestampMs) },
  });
}

/** Nothing said means the beginning. @throws GmqError `invalid_argument` for a negative number */
export function startFromMessage(message: StartMessage | undefined): StartPosition {
  const position = message?.position;
  switch (position?.case) {
    case "latest":
      return "latest";
    case "offset":
      return { offset: notNegative("start.offset", position.value) };
    case "timestampMs":
      return { timestampMs: Number(notNegative("start.timestamp_ms", position.value)) };
    default:
      return "earliest";
  }
}

function notNegative(field: string, value: bigint): bigint {
  if (value >= 0n) return value;
  throw new GmqError("invalid_argument", `${field} is ${value}`, { field, limit: "0 or more" });
}
