/** Administration over AdminService of whichever broker the link is with. */
import { GmqError, limits } from "@gmq/protocol";
import { AdminService, type GroupView, MemberKind } from "@gmq/protocol/messages";
import { createServiceClient } from "@gmq/transport";
import type { CallOptions } from "./call-options.js";
import { checkPartition, checkTimeout, inRange } from "./checked-values.js";
import { type Start, startOf } from "./consumer-options.js";
import { createDeadLetterAdmin, type DeadLetterAdmin } from "./dead-letter-admin.js";
import { type AdminCall, createGroupAdmin, type GroupAdmin } from "./group-admin.js";
import type { Link } from "./link.js";
import { createTopicAdmin, type TopicAdmin } from "./topic-admin.js";

export interface GroupSummary {
  readonly group: string;
  /** How its consumers share the topics; `exclusive` while it has none. */
  readonly mode: "exclusive" | "shared";
  /** Its consumers. */
  readonly members: readonly GroupMemberDescription[];
  /** Topics that the group consumes or has consumed. */
  readonly topics: readonly string[];
}

export interface GroupMemberDescription {
  readonly memberId: string;
  readonly clientId: string;
  readonly clientVersion: string;
  readonly brokerId: string;
  readonly topics: readonly string[];
  readonly joinedAt: Date;
  readonly assignment: readonly { readonly topic: string; readonly partition: number }[];
}

export interface GroupDescription extends GroupSummary {
  readonly partitions: readonly GroupPartitionDescription[];
}

export interface GroupPartitionDescription {
  readonly topic: string;
  readonly partition: number;
  /** Undefined while nobody owns it, and in shared mode, where nobody does. */
  readonly owner: string | undefined;
  /** Nobody may own it: the group is paused here. */
  readonly paused: boolean;
  /** Next offset to hand out. */
  readonly position: bigint;
  readonly endOffset: bigint;
  /** Records that the group has not settled. */
  readonly lag: bigint;
  /** Age of the oldest of them. */
  readonly lagMs: number;
  /** Handed out and not settled. */
  readonly inFlight: bigint;
  /** Records that retention or a purge took before the group had settled them. */
  readonly lost: bigint;
}

export interface BrowsedRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array;
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array }[];
  readonly timestamp: Date;
  /** From then on no consumer gets it; undefined: it never expires. */
  readonly expiresAt: Date | undefined;
}

export interface Status {
  readonly brokerId: string;
  readonly version: string;
  readonly sessions: number;
  readonly uptimeMs: number;
  readonly engine: string;
  readonly ready: boolean;
  readonly reason: string;
  /** What a crash of the store can lose. */
  readonly durability: string;
  readonly details: Readonly<Record<string, string>>;
}

/** Topics, groups and dead letters. Every call rejects with a GmqError of the broker, `unavailable` or `deadline_exceeded`; reads are safe to retry. */
export interface Admin extends TopicAdmin, GroupAdmin, DeadLetterAdmin {
  listGroups(options?: CallOptions): Promise<GroupSummary[]>;
  /** @throws GmqError `group_not_found` */
  describeGroup(group: string, options?: CallOptions): Promise<GroupDescription>;
  /** @throws GmqError `group_not_found`, `group_not_empty` */
  deleteGroup(group: string, options?: CallOptions): Promise<void>;
  /** Reads records without any effect on groups; at most 1,000 a call. @throws GmqError `topic_not_found`, `partition_not_found` */
  browse(
    topic: string,
    options?: CallOptions & { readonly partition?: number; readonly from?: Start; readonly limit?: number },
  ): Promise<{ readonly records: readonly BrowsedRecord[]; readonly nextOffset: bigint; readonly endOffset: bigint }>;
  status(options?: CallOptions): Promise<Status>;
}

const callTimeoutMsDefault = 10_000;

/** Makes the administration over a link. */
export function createAdmin(link: Link, topicChanged: (name: string) => void): Admin {
  const call: AdminCall = async (options, run) => {
    const timeoutMs = options?.timeoutMs ?? callTimeoutMsDefault;
    checkTimeout(timeoutMs);
    const callOptions = { timeoutMs, ...(options?.signal === undefined ? {} : { signal: options.signal }) };
    await link.whenOpen(callOptions);
    return run(createServiceClient(AdminService, link.transport()), callOptions);
  };

  return {
    ...createTopicAdmin(call, topicChanged),
    ...createGroupAdmin(call),
    ...createDeadLetterAdmin(call),
    async listGroups(options) {
      const { groups } = await call(options, (client, callOptions) => client.listGroups({}, callOptions));
      return groups.map(summaryOf);
    },
    async describeGroup(group, options) {
      const answer = await call(options, (client, callOptions) => client.describeGroup({ group }, callOptions));
      const view = answer.group;
      if (view === undefined) throw missing("group");
      const owned = new Map(view.partitions.map((own) => [`${own.topic}/${own.partition}`, own]));
      const partitions = answer.partitions.map(
        ({ topic, partition, position, endOffset, lagRecords, lagMs, unsettledRecords, lostRecords }) => {
          const own = owned.get(`${topic}/${partition}`);
          return {
            topic,
            partition,
            owner: own === undefined || own.memberId === "" ? undefined : own.memberId,
            paused: own?.hold === "paused",
            position,
            endOffset,
            lag: lagRecords,
            lagMs: Number(lagMs),
            inFlight: unsettledRecords,
            lost: lostRecords,
          };
        },
      );
      return { ...summaryOf(view), partitions };
    },
    async deleteGroup(group, options) {
      await call(options, (client, callOptions) => client.deleteGroup({ group }, callOptions));
    },
    async browse(topic, options) {
      const { partition = 0, from = "earliest", limit = limits.browseRecordsDefault } = options ?? {};
      checkPartition("partition", partition);
      inRange("limit", limit, 1, limits.browseRecordsMax);
      const answer = await call(options, (client, callOptions) =>
        client.browseRecords({ topic, partition, from: startOf("from", from), limit }, callOptions),
      );
      const records = answer.records.map(({ offset, record }) => {
        if (record === undefined) throw missing("record");
        const { key, value, headers, timestampMs, expiresAtMs } = record;
        return {
          partition,
          offset,
          key,
          value,
          headers: headers.map((header) => ({ key: header.key, value: header.value })),
          timestamp: new Date(Number(timestampMs)),
          expiresAt: expiresAtMs === 0n ? undefined : new Date(Number(expiresAtMs)),
        };
      });
      return { records, nextOffset: answer.nextOffset, endOffset: answer.endOffset };
    },
    async status(options) {
      const status = await call(options, (client, callOptions) => client.getStatus({}, callOptions));
      const { brokerId, version, sessions, uptimeMs, storeEngine, storeReady, storeReason, durability, storeDetails } =
        status;
      return {
        brokerId,
        version,
        sessions,
        uptimeMs: Number(uptimeMs),
        engine: storeEngine,
        ready: storeReady,
        reason: storeReason,
        durability,
        details: storeDetails,
      };
    },
  };
}

function summaryOf({ group, members: all, partitions }: GroupView): GroupSummary {
  // Desks are the brokers' own.
  const members = all.filter(({ kind }) => kind !== MemberKind.DESK);
  return {
    group,
    mode: all.some(({ kind }) => kind !== MemberKind.UNSPECIFIED) ? "shared" : "exclusive",
    topics: [...new Set(partitions.map(({ topic }) => topic))],
    members: members.map(({ memberId, clientId, clientVersion, brokerId, topics, joinedAtMs }) => ({
      memberId,
      clientId,
      clientVersion,
      brokerId,
      topics,
      joinedAt: new Date(Number(joinedAtMs)),
      assignment: partitions
        .filter((partition) => partition.memberId === memberId)
        .map(({ topic, partition }) => ({ topic, partition })),
    })),
  };
}

function missing(field: string): GmqError {
  return new GmqError("internal", `the broker's answer has no ${field}`, { field });
}
