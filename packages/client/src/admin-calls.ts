/** What `gmq.admin` does, loaded by its first call: AdminService of whichever broker the link is with. */
import { GmqError, limits } from "@gmq/protocol";
import { AdminService, type GroupView, MemberKind } from "@gmq/protocol/messages";
import type { Admin, GroupSummary } from "./admin.js";
import { checkPartition, checkTimeout, inRange } from "./checked-values.js";
import { startOf } from "./consumer-options.js";
import { createDeadLetterAdmin } from "./dead-letter-admin.js";
import { type AdminCall, callTimeoutMsDefault, createGroupAdmin } from "./group-admin.js";
import type { Link } from "./link.js";
import { createTopicAdmin } from "./topic-admin.js";

/** Makes the calls over a link. */
export function createAdminCalls(link: Link, topicChanged: (name: string) => void): Admin {
  const call: AdminCall = async (options, run) => {
    const timeoutMs = options?.timeoutMs ?? callTimeoutMsDefault;
    checkTimeout(timeoutMs);
    const untilMs = performance.now() + timeoutMs;
    const signal = options?.signal === undefined ? {} : { signal: options.signal };
    await link.whenOpen({ timeoutMs, ...signal });
    // To a call 0 means no deadline.
    const leftMs = Math.max(1, Math.ceil(untilMs - performance.now()));
    return run(link.calls().client(AdminService), { timeoutMs: leftMs, ...signal });
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
      const answer = await call(options, (client, callOptions) =>
        client.describeGroup({ group, heartbeats: true }, callOptions),
      );
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
    members: members.map(({ memberId, clientId, clientVersion, brokerId, topics, joinedAtMs, heartbeatAgeMs }) => ({
      memberId,
      clientId,
      clientVersion,
      brokerId,
      topics,
      joinedAt: new Date(Number(joinedAtMs)),
      heartbeatAgeMs,
      assignment: partitions
        .filter((partition) => partition.memberId === memberId)
        .map(({ topic, partition }) => ({ topic, partition })),
    })),
  };
}

function missing(field: string): GmqError {
  return new GmqError("internal", `the broker's answer has no ${field}`, { field });
}
