/** Administration of groups: where they stand, why they wait, moving and pausing them. */
import type { GmqError } from "@gmq/protocol";
import { type AdminService, type GroupMove as MoveMessage, PendingAction } from "@gmq/protocol/messages";
import { errorFromMessage } from "@gmq/transport/frames";
import type { CallClient } from "@gmq/transport/unary";
import type { CallOptions } from "./call-options.js";
import { checkPartition, inRange } from "./checked-values.js";
import { type Start, startOf } from "./consumer-options.js";

/** What a reset does in a partition. */
export interface GroupMove {
  readonly topic: string;
  readonly partition: number;
  readonly before: bigint;
  readonly after: bigint;
  /** Settled records that are delivered again. */
  readonly rereadRecords: bigint;
  /** Unsettled records that the group never gets. */
  readonly skippedRecords: bigint;
}

/** What a reset did, or with `dryRun` would do. */
export interface GroupReset {
  /** The group's version: give a dry run's to the reset that follows it, so that it is refused when members moved in between. */
  readonly version: bigint;
  readonly partitions: readonly GroupMove[];
}

/** Where to move a group, and how carefully. */
export interface ResetOptions extends CallOptions {
  readonly topic: string;
  /** Default: all partitions. */
  readonly partitions?: readonly number[];
  readonly to: Start;
  /** Tells what would happen, and changes nothing. */
  readonly dryRun?: boolean;
  /** Refuses with `conflict` when members or owners moved since this version. */
  readonly expectedVersion?: bigint;
}

/** A true thing about a group in a partition; codes: `gmq.v1.GroupCondition`. */
export interface GroupCondition {
  readonly code: string;
  readonly text: string;
}

/** A record that was handed out and is not settled. */
export interface PendingRecord {
  readonly offset: bigint;
  /** Failed attempts. */
  readonly attempts: number;
  /** Until its next attempt, 0 when it waits for none. */
  readonly dueInMs: number;
  /** Since the entry that it is in was handed to who has it now, by the store's clock. */
  readonly idleMs: number;
  /**
   * The consumer that it is with; undefined while it waits for one, and where only another broker knows it. Of an exclusive group the partition's owner, which also
   * has what waits for a retry.
   */
  readonly consumer: PendingConsumer | undefined;
  /** The broker that hands it out, undefined when none does. */
  readonly brokerId: string | undefined;
}

/** The consumer that a pending record is with. */
export interface PendingConsumer {
  readonly memberId: string;
  /** As it calls itself; "" when it has left the group and not yet its broker. */
  readonly clientId: string;
}

/** What is handed out and not settled in a partition. */
export interface PendingRecords {
  /** The oldest first. */
  readonly records: readonly PendingRecord[];
  /** All of them, listed or not. */
  readonly unsettledRecords: bigint;
  /** Who owns the partition; of a shared group its desks, with commas. */
  readonly owner: string | undefined;
  /** Brokers whose consumers have some of them: which consumer a record is with only they know. None but of a shared group. */
  readonly otherBrokerIds: readonly string[];
}

/**
 * What an operator does with records that a consumer was given. `ack`: done, never delivered again. `retry`: delivered at once, whatever it waited for; not while
 * it is with the consumer. `dead-letter`: given up. `claim`: taken from a consumer of a shared group and given to another one; it costs no attempt.
 */
export type PendingVerb = "ack" | "retry" | "dead-letter" | "claim";

/** Which records to settle in place of their consumer. */
export interface PendingSettle extends CallOptions {
  readonly topic: string;
  readonly partition: number;
  /** At most 1,000. */
  readonly offsets: readonly bigint[];
  readonly verb: PendingVerb;
  /** With `dead-letter`: why, at most 256 bytes. Default "operator". */
  readonly reason?: string;
  /** Tells which it could settle, and changes nothing. */
  readonly dryRun?: boolean;
}

/** What became of each record. */
export interface PendingSettlement {
  /** In the request's order; none when another broker has the partition. `error`: the record was left as it is. */
  readonly outcomes: readonly { readonly offset: bigint; readonly error: GmqError | undefined }[];
  /** Brokers that have the partition too, or instead: what is without an outcome, or refused with `not_delivered`, may be with one of them. */
  readonly brokerIds: readonly string[];
}

export interface GroupAdmin {
  /**
   * Moves a group to another place in a topic. Consumers that run lose their partitions for a moment and go on from there; what they hold comes back `fenced`.
   * @throws GmqError `group_not_found`, `topic_not_found` (the group does not consume it), `partition_not_found`, `invalid_argument` (past the end), `conflict`
   */
  resetGroup(group: string, options: ResetOptions): Promise<GroupReset>;
  /** Stops delivery, of one topic or of all; consumers settle what they hold. Kept over restarts. @throws GmqError `group_not_found`, `topic_not_found` */
  pauseGroup(group: string, options?: CallOptions & { readonly topic?: string }): Promise<void>;
  /** @throws GmqError `group_not_found`, `topic_not_found` */
  resumeGroup(group: string, options?: CallOptions & { readonly topic?: string }): Promise<void>;
  /** Why the group does not move on in a partition; never empty, the most telling first. @throws GmqError `group_not_found`, `topic_not_found`, `partition_not_found` */
  explain(group: string, topic: string, partition: number, options?: CallOptions): Promise<readonly GroupCondition[]>;
  /** At most 1,000 a call, default 100. @throws GmqError `group_not_found`, `topic_not_found`, `partition_not_found` */
  listPending(
    group: string,
    topic: string,
    partition: number,
    options?: CallOptions & { readonly limit?: number },
  ): Promise<PendingRecords>;
  /**
   * Settles records in place of the consumer that has them, through the broker of this client's link alone. Each record has an outcome of its own.
   * @throws GmqError `group_not_found`, `topic_not_found`, `invalid_argument`, `conflict` (paused, changing hands, or nobody is there to do it), `fenced`
   */
  settlePending(group: string, settle: PendingSettle): Promise<PendingSettlement>;
}

type AdminClient = CallClient<typeof AdminService>;
/** Of a call that names no `timeoutMs`. */
export const callTimeoutMsDefault = 10_000;
/** Runs a call on the broker of the link, with the deadline and signal of the options. */
export type AdminCall = <Result>(
  options: CallOptions | undefined,
  run: (client: AdminClient, callOptions: { timeoutMs: number; signal?: AbortSignal }) => Promise<Result>,
) => Promise<Result>;

const pendingActions: Readonly<Record<PendingVerb, PendingAction>> = {
  ack: PendingAction.ACK,
  retry: PendingAction.RETRY,
  "dead-letter": PendingAction.DEAD_LETTER,
  claim: PendingAction.CLAIM,
};

/** Makes these calls. */
export function createGroupAdmin(call: AdminCall): GroupAdmin {
  return {
    async resetGroup(group, options) {
      const { topic, partitions = [], to, dryRun = false, expectedVersion } = options;
      for (const partition of partitions) checkPartition("partitions", partition);
      const request = {
        group,
        topic,
        partitions: [...partitions],
        to: startOf("to", to),
        dryRun,
        ...(expectedVersion === undefined ? {} : { expectedVersion }),
      };
      const answer = await call(options, (client, callOptions) => client.resetGroup(request, callOptions));
      return { version: answer.version, partitions: answer.partitions.map(moveOf) };
    },
    async pauseGroup(group, options) {
      await call(options, (client, callOptions) => client.pauseGroup({ group, topic: options?.topic }, callOptions));
    },
    async resumeGroup(group, options) {
      await call(options, (client, callOptions) => client.resumeGroup({ group, topic: options?.topic }, callOptions));
    },
    async explain(group, topic, partition, options) {
      checkPartition("partition", partition);
      const request = { group, topic, partition };
      const { conditions } = await call(options, (client, callOptions) => client.explainGroup(request, callOptions));
      return conditions.map(({ code, text }) => ({ code, text }));
    },
    async listPending(group, topic, partition, options) {
      const limit = options?.limit ?? 100;
      checkPartition("partition", partition);
      inRange("limit", limit, 1, 1_000);
      const request = { group, topic, partition, limit };
      const answer = await call(options, (client, callOptions) => client.listPending(request, callOptions));
      return {
        records: answer.records.map(({ offset, attempts, dueInMs, idleMs, memberId, clientId, brokerId }) => ({
          offset,
          attempts,
          dueInMs,
          idleMs: Number(idleMs),
          consumer: memberId === "" ? undefined : { memberId, clientId },
          brokerId: brokerId === "" ? undefined : brokerId,
        })),
        unsettledRecords: answer.unsettledRecords,
        owner: answer.memberId === "" ? undefined : answer.memberId,
        otherBrokerIds: answer.otherBrokerIds,
      };
    },
    async settlePending(group, { topic, partition, offsets, verb, reason = "", dryRun = false, ...options }) {
      const request = { group, topic, partition, offsets: [...offsets], action: pendingActions[verb], reason, dryRun };
      const answer = await call(options, (client, callOptions) => client.settlePending(request, callOptions));
      const { outcomes, ownerBrokerId, otherBrokerIds } = answer;
      return {
        outcomes: outcomes.map(({ offset, error }) => ({
          offset,
          error: error === undefined ? undefined : errorFromMessage(error),
        })),
        brokerIds: ownerBrokerId === "" ? otherBrokerIds : [ownerBrokerId, ...otherBrokerIds],
      };
    },
  };
}

function moveOf({ topic, partition, before, after, rereadRecords, skippedRecords }: MoveMessage): GroupMove {
  return { topic, partition, before, after, rereadRecords, skippedRecords };
}
