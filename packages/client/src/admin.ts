/** Administration: what there is to call. What a call does is loaded by the first one (admin-calls.ts), as most programs make none. */
import type { CallOptions } from "./call-options.js";
import { checkObject } from "./checked-values.js";
import type { Start } from "./consumer-options.js";
import type { DeadLetterAdmin } from "./dead-letter-admin.js";
import type { GroupAdmin } from "./group-admin.js";
import type { Link } from "./link.js";
import type { TopicAdmin } from "./topic-admin.js";

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
  /** Since its last heartbeat, by the store's clock; of `describeGroup` only, and undefined where the server is too old to tell. */
  readonly heartbeatAgeMs: number | undefined;
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

/** Every call, so that they are there before their code is, with the argument that has to be an object; 0: none has. */
const calls: Readonly<Record<keyof Admin, number>> = {
  addPartitions: 0,
  alterTopic: 1,
  browse: 0,
  createTopic: 0,
  deadLetterQueues: 0,
  deadLetters: 1,
  deleteGroup: 0,
  deleteTopic: 0,
  describeGroup: 0,
  describeTopic: 0,
  discardDeadLetters: 1,
  explain: 0,
  listGroups: 0,
  listPending: 0,
  listTopics: 0,
  pauseGroup: 0,
  purge: 1,
  redrive: 1,
  resetGroup: 1,
  resumeGroup: 0,
  settlePending: 1,
  status: 0,
};

/** Makes the administration over a link. */
export function createAdmin(link: Link, topicChanged: (name: string) => void): Admin {
  let loading: Promise<Admin> | undefined;
  const load = (): Promise<Admin> => {
    loading ??= import("./admin-calls.js").then(({ createAdminCalls }) => createAdminCalls(link, topicChanged));
    return loading;
  };
  const lazy =
    (name: keyof Admin, needed: number) =>
    async (...args: unknown[]): Promise<unknown> => {
      if (needed > 0) checkObject("options", args[needed]);
      return ((await load())[name] as (...args: unknown[]) => Promise<unknown>)(...args);
    };
  const entries = Object.entries(calls).map(([name, needed]) => [name, lazy(name as keyof Admin, needed)]);
  return Object.fromEntries(entries) as Admin;
}
