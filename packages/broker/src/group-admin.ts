/** The part of AdminService that looks into groups and moves them: pending, reset, pause, explain. */
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { checkName, GmqError, limits } from "@gmq/protocol";
import { type AdminService, PendingRecordSchema } from "@gmq/protocol/messages";
import type { Engine, HeldEntry } from "@gmq/storage";
import { groupToMessage, moveToMessage, resetFromMessage } from "@gmq/storage/wire";
import { callerOf } from "./access/admin-access.js";
import { mayReadTopic } from "./access/require.js";
import type { Dispatchers } from "./dispatchers.js";
import { explainGroup } from "./explain-group.js";

type GroupAdmin = Pick<
  ServiceImpl<typeof AdminService>,
  "listPending" | "resetGroup" | "pauseGroup" | "resumeGroup" | "explainGroup"
>;

/** Makes these calls over an engine; what this broker itself knows of a reader comes from its dispatchers. */
export function createGroupAdmin(engine: Engine, brokerId: string, dispatchers: Pick<Dispatchers, "find">): GroupAdmin {
  const { groups } = engine;
  return {
    async listPending({ group, topic, partition, limit }) {
      const recordsMax = limit === 0 ? limits.browseRecordsDefault : limit;
      if (recordsMax > limits.browseRecordsMax) {
        throw new GmqError("invalid_argument", `limit is ${limit}`, {
          field: "limit",
          limit: `1 to ${limits.browseRecordsMax} records`,
        });
      }
      const place = { topic: checkName("topic", topic), partition };
      const [view, pending] = await Promise.all([groups.get(checkName("group", group)), groups.pending(group, place)]);
      const owner = view?.partitions.find((own) => own.topic === topic && own.partition === partition);
      const { records, unsettled } = unsettledOf(pending, recordsMax);
      const desks = view?.members.filter(({ kind, topics }) => kind === "desk" && topics.includes(topic)) ?? [];
      const memberId = owner?.memberId ?? desks.map((desk) => desk.memberId).join(", ");
      return { records, unsettledRecords: BigInt(unsettled), memberId };
    },

    async resetGroup(request) {
      const result = await groups.reset(resetFromMessage(request));
      return { version: BigInt(result.version), partitions: result.partitions.map(moveToMessage) };
    },

    async pauseGroup({ group, topic }) {
      return { group: groupToMessage(await groups.pause({ group: checkName("group", group), topic })) };
    },

    async resumeGroup({ group, topic }) {
      return { group: groupToMessage(await groups.resume({ group: checkName("group", group), topic })) };
    },

    async explainGroup({ group, topic, partition }, context) {
      const place = { topic: checkName("topic", topic), partition };
      const reader = dispatchers.find(group, place);
      const mayRead = mayReadTopic(callerOf(context), topic);
      const conditions = await explainGroup({ engine, brokerId, reader, mayRead }, group, place);
      return { conditions: conditions.map((condition) => ({ ...condition })) };
    },
  };
}

/** The unsettled records of pending entries, oldest first, and how many there are in all. */
function unsettledOf(pending: readonly HeldEntry[], recordsMax: number) {
  const records = [];
  let unsettled = 0;
  for (const { baseOffset, recordCount, states, attempts, due, idleMs } of pending) {
    const attemptsAt = new Map(attempts.map((item) => [item.index, item.attempts]));
    const dueAt = new Map(due.map(({ index, inMs }) => [index, inMs]));
    for (let index = 0; index < recordCount; index++) {
      if (states !== "" && states[index] !== ".") continue;
      unsettled++;
      if (records.length >= recordsMax) continue;
      records.push(
        create(PendingRecordSchema, {
          offset: baseOffset + BigInt(index),
          attempts: attemptsAt.get(index) ?? 0,
          dueInMs: Math.min(dueAt.get(index) ?? 0, 0xffff_ffff),
          idleMs: BigInt(idleMs),
        }),
      );
    }
  }
  return { records, unsettled };
}
