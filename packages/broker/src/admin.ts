/** AdminService: what operators, the CLI and the portal ask. Reads and changes go to the engine; nothing is kept here. */
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { checkName, decodeEntry, decodeEntryMeta, GmqError, limits } from "@gmq/protocol";
import {
  type AdminService,
  AdminServiceBrowseRecordsResponseSchema,
  type BrowsedRecord,
  BrowsedRecordSchema,
} from "@gmq/protocol/messages";
import type { Engine, LogEntry } from "@gmq/storage";
import { groupToMessage, offsetsToMessage, startFromMessage } from "@gmq/storage/wire";
import { listDeadLetters } from "./dead-letters/list-dead-letters.js";
import { redrive } from "./dead-letters/redrive.js";
import type { Dispatchers } from "./dispatchers.js";
import { createGroupAdmin } from "./group-admin.js";
import type { Memberships } from "./membership.js";
import { checkGroup, recordMessage } from "./messages.js";
import type { BrokerLoad } from "./meter.js";
import { settlePending } from "./settle-pending.js";
import { createTopicAdmin } from "./topic-admin.js";

/** Numbers of the broker itself. */
export interface BrokerFacts {
  readonly brokerId: string;
  readonly version: string;
  readonly defaultPartitions: number;
  load(): BrokerLoad;
  uptimeMs(): number;
}

/** Makes the service over an engine. */
export function createAdmin(
  engine: Engine,
  memberships: Memberships,
  facts: BrokerFacts,
  dispatchers: Pick<Dispatchers, "find">,
  topicChanged: (topic: string) => void,
): ServiceImpl<typeof AdminService> {
  const { groups, log } = engine;
  return {
    ...createGroupAdmin(engine, facts.brokerId, dispatchers),
    ...createTopicAdmin(engine, facts.defaultPartitions, topicChanged),
    async listGroups() {
      return { groups: (await groups.list()).map(groupToMessage) };
    },
    async describeGroup({ group, heartbeats }) {
      const view = await groups.get(checkName("group", group), { heartbeats });
      if (view === undefined) throw new GmqError("group_not_found", `there is no group ${group}`, { field: "group" });
      return { group: groupToMessage(view), partitions: (await groups.offsets(group)).map(offsetsToMessage) };
    },
    async deleteGroup({ group }) {
      await groups.delete(checkGroup(group));
      return {};
    },
    async browseRecords({ topic, partition, from, limit }) {
      const recordsMax = limit === 0 ? limits.browseRecordsDefault : limit;
      if (recordsMax > limits.browseRecordsMax) {
        throw new GmqError("invalid_argument", `limit is ${limit}`, {
          field: "limit",
          limit: `1 to ${limits.browseRecordsMax} records`,
        });
      }
      const position = startFromMessage(from);
      const found = await log.read({
        topic: checkName("topic", topic),
        partition,
        from: position,
        entriesMax: recordsMax,
        bytesMax: limits.fetchBytesDefault,
      });
      const first = typeof position === "object" && "offset" in position ? position.offset : 0n;
      const records = await browse(partition, found.entries, first, recordsMax);
      const last = records.at(-1);
      return create(AdminServiceBrowseRecordsResponseSchema, {
        records,
        nextOffset: last === undefined ? found.endOffset : last.offset + 1n,
        startOffset: found.startOffset,
        endOffset: found.endOffset,
      });
    },
    listDeadLetters: (request) => listDeadLetters(engine, request),
    settlePending: (request) => settlePending({ engine, memberships, dispatchers, brokerId: facts.brokerId }, request),
    redrive: (request, { signal }) => redrive({ engine, memberships, brokerId: facts.brokerId }, request, signal),
    async getStatus() {
      const store = await engine.status();
      const { sessions, publishedBytes, deliveredRecords, deliveredBytes } = facts.load();
      return {
        brokerId: facts.brokerId,
        version: facts.version,
        sessions,
        uptimeMs: BigInt(Math.round(facts.uptimeMs())),
        storeEngine: store.engine,
        storeReady: store.ready,
        storeReason: store.reason,
        durability: store.durability,
        storeDetails: { ...store.details },
        storages: (store.storages ?? []).map((storage) => ({ ...storage })),
        publishedBytes: BigInt(publishedBytes),
        deliveredRecords: BigInt(deliveredRecords),
        deliveredBytes: BigInt(deliveredBytes),
      };
    },
  };
}

async function browse(
  partition: number,
  entries: readonly LogEntry[],
  first: bigint,
  recordsMax: number,
): Promise<BrowsedRecord[]> {
  const records: BrowsedRecord[] = [];
  for (const entry of entries) {
    const { appendTimeMs } = decodeEntryMeta(entry.meta);
    for await (const placed of decodeEntry(entry)) {
      if (records.length === recordsMax) return records;
      if (placed.offset < first) continue;
      const { offset } = placed;
      const record = recordMessage(placed);
      records.push(create(BrowsedRecordSchema, { partition, offset, record, appendTimeMs: BigInt(appendTimeMs) }));
    }
  }
  return records;
}
