/** The part of AdminService that looks into groups and moves them: pending, reset, pause, explain. */
import type { ServiceImpl } from "@connectrpc/connect";
import { checkName, GmqError, limits } from "@gmq/protocol";
import type { AdminService } from "@gmq/protocol/messages";
import type { Engine } from "@gmq/storage";
import { groupToMessage, moveToMessage, resetFromMessage } from "@gmq/storage/wire";
import { callerOf } from "./access/admin-access.js";
import { mayReadTopic } from "./access/require.js";
import type { Dispatchers } from "./dispatchers.js";
import { explainGroup } from "./explain-group.js";
import { listUnsettled, oldestPending } from "./list-unsettled.js";

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
      const [view, oldest] = await Promise.all([
        groups.get(checkName("group", group)),
        oldestPending(groups, group, place, recordsMax),
      ]);
      return listUnsettled({ view, place, ...oldest, recordsMax, brokerId, reader: dispatchers.find(group, place) });
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
