import { GmqError } from "@gmq/protocol";
import type { GroupMember, GroupView, PartitionFence, PartitionOwnership, TopicPartition } from "../engine.js";

/** A topic as the group last saw it. A topic that was deleted and made again has another `createdAtMs`: its partitions begin anew. */
export interface GroupTopic {
  readonly topic: string;
  readonly createdAtMs: number;
}

/** A partition that nobody may own until the hold is lifted. */
export interface GroupHold extends TopicPartition {
  /** `paused`, or `reset/<token>`: that one also ends with the session of its name, so that a reset that was cut off holds nothing for ever. */
  readonly name: string;
}

/** The last time that an owner lost a partition without giving it back. */
export interface GroupFence extends TopicPartition, PartitionFence {}

/** A group as it is stored: members and who owns what. Changed only as a whole, by compare-and-set. */
export interface GroupDocument {
  /** Last epoch given out in the group; grows with each change of owner. */
  readonly epoch: number;
  /** Topics whose partitions are listed, subscribed now or before. */
  readonly topics: readonly GroupTopic[];
  readonly members: readonly GroupMember[];
  readonly partitions: readonly PartitionOwnership[];
  readonly holds: readonly GroupHold[];
  /** Lately, the latest first; absent when there is none. */
  readonly fences?: readonly GroupFence[] | undefined;
}

/** Version of the stored form; a newer one is refused. */
const documentFormat = 1;

/**
 * A group that nobody has joined yet. Its epochs begin at the store's clock, so that they also grow over a group that was deleted and made again:
 * a zombie of the first life can never fence an owner of the second.
 */
export function emptyGroup(nowMs: number): GroupDocument {
  return { epoch: nowMs, topics: [], members: [], partitions: [], holds: [] };
}

/** The document as text. Equal documents give equal texts. */
export function encodeGroup({ epoch, topics, members, partitions, holds, fences = [] }: GroupDocument): string {
  const told = fences.length === 0 ? {} : { fences };
  return JSON.stringify({ format: documentFormat, epoch, topics, members, partitions, holds, ...told });
}

/**
 * The document that a text holds, every field checked.
 * @throws GmqError `unsupported_version` when a newer GMQ wrote it, `internal` naming the field when it is not a document
 */
export function decodeGroup(text: string): GroupDocument {
  const stored = fieldsOf(parse(text), "document");
  const format = stored.integer("format");
  if (format > documentFormat) {
    throw new GmqError("unsupported_version", `a stored group has format ${format}: use a newer GMQ`, {
      field: "document.format",
      limit: `format ${documentFormat}`,
    });
  }
  return {
    epoch: stored.integer("epoch"),
    topics: stored.list("topics").map((topic) => ({
      topic: topic.text("topic"),
      createdAtMs: topic.integer("createdAtMs"),
    })),
    members: stored.list("members").map(decodeMember),
    partitions: stored.list("partitions").map((partition) => ({
      topic: partition.text("topic"),
      partition: partition.integer("partition"),
      memberId: partition.optionalText("memberId"),
      epoch: partition.integer("epoch"),
      nextMemberId: partition.optionalText("nextMemberId"),
    })),
    holds: stored.list("holds").map((hold) => ({
      topic: hold.text("topic"),
      partition: hold.integer("partition"),
      name: hold.text("name"),
    })),
    ...decodeFences(stored),
  };
}

/** What others see of a document. */
export function viewOf(group: string, version: number, document: GroupDocument): GroupView {
  const { epoch, members, partitions, holds, fences = [] } = document;
  if (holds.length === 0 && fences.length === 0) return { group, version, epoch, members, partitions };
  const reasons = new Map<string, "paused" | "reset">(
    holds.map(
      ({ topic, partition, name }) => [`${topic}/${partition}`, name === pausedHold ? "paused" : "reset"] as const,
    ),
  );
  const fenceAt = new Map<string, PartitionFence>(
    fences.map(({ topic, partition, ...fence }) => [`${topic}/${partition}`, fence] as const),
  );
  const shown = partitions.map((own) => {
    const place = `${own.topic}/${own.partition}`;
    return { ...own, hold: reasons.get(place), fence: fenceAt.get(place) };
  });
  return { group, version, epoch, members, partitions: shown };
}

/** Name of the holds of a paused group. */
export const pausedHold = "paused";

/** Name of a member's session in the store. */
export function sessionOf({ memberId, incarnation }: Pick<GroupMember, "memberId" | "incarnation">): string {
  return `${memberId}/${incarnation}`;
}

/** Absent in what was stored before fences were kept. */
function decodeFences(stored: Fields): Pick<GroupDocument, "fences"> {
  if (!stored.has("fences")) return {};
  return {
    fences: stored.list("fences").map((fence) => ({
      topic: fence.text("topic"),
      partition: fence.integer("partition"),
      memberId: fence.text("memberId"),
      reason: fence.text("reason"),
      atMs: fence.integer("atMs"),
    })),
  };
}

function decodeMember(member: Fields): GroupMember {
  return {
    group: member.text("group"),
    memberId: member.text("memberId"),
    incarnation: member.text("incarnation"),
    clientId: member.text("clientId"),
    clientVersion: member.text("clientVersion"),
    brokerId: member.text("brokerId"),
    topics: member.texts("topics"),
    sessionTimeoutMs: member.integer("sessionTimeoutMs"),
    staticMember: member.flag("staticMember"),
    joinedAtMs: member.integer("joinedAtMs"),
    ...decodeSharing(member),
  };
}

/** What a shared member and a desk have more; as absent as they were stored, so that equal documents give equal texts. */
function decodeSharing(member: Fields): Pick<GroupMember, "kind" | "epoch"> {
  const kind = member.optionalText("kind");
  if (kind === "shared") return { kind };
  return kind === "desk" ? { kind, epoch: member.integer("epoch") } : {};
}

/** Reads checked fields of a stored object; what is wrong is named by its path. */
interface Fields {
  has(name: string): boolean;
  text(name: string): string;
  optionalText(name: string): string | undefined;
  texts(name: string): string[];
  integer(name: string): number;
  flag(name: string): boolean;
  list(name: string): Fields[];
}

function fieldsOf(value: unknown, path: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unreadable(path);
  const fields = value as Readonly<Record<string, unknown>>;

  function checked<Kind>(name: string, is: (field: unknown) => field is Kind): Kind {
    const field = fields[name];
    if (!is(field)) throw unreadable(`${path}.${name}`);
    return field;
  }

  return {
    has: (name) => fields[name] !== undefined,
    text: (name) => checked(name, isText),
    optionalText: (name) => (fields[name] === undefined ? undefined : checked(name, isText)),
    texts: (name) => checked(name, (field) => Array.isArray(field) && field.every(isText)),
    integer: (name) => checked(name, isCount),
    flag: (name) => checked(name, (field) => typeof field === "boolean"),
    list: (name) => checked(name, Array.isArray).map((item, index) => fieldsOf(item, `${path}.${name}[${index}]`)),
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable("document", cause);
  }
}

function unreadable(field: string, cause?: unknown): GmqError {
  return new GmqError("internal", `a stored group cannot be read: ${field}`, { field, cause });
}
