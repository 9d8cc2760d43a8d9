/** The storage service's calls beside the link: topics, reading, groups, status. Checks what came over the wire and asks the engine. */
import { checkName, GmqError, limits } from "@gmq/protocol";
import type { ClaimPage as ClaimPageMessage, StorageService } from "@gmq/protocol/messages";
import type { UnaryCalls } from "@gmq/transport";
import { claimWhole } from "../claim-whole.js";
import type { ClaimPage, Engine } from "../engine.js";
import { type PendingPage, wholeOf } from "../pages-of.js";
import {
  groupToMessage,
  kindFromMessage,
  moveToMessage,
  offsetsToMessage,
  resetFromMessage,
  startFromMessage,
} from "../wire/group-messages.js";
import { heldToMessage, ownershipFromMessage, pageFromMessage, pendingToMessage } from "../wire/record-messages.js";
import { configFromMessage, purgedToMessage, statsToMessage, topicToMessage } from "../wire/topic-messages.js";

/** Makes every call of the service but `link`. */
export function createUnaryCalls(engine: Engine): Omit<Required<UnaryCalls<typeof StorageService>>, "link"> {
  const { topics, log, groups } = engine;
  return {
    async createTopic({ topic, config }) {
      return { topic: topicToMessage(await topics.create(checkName("topic", topic), configFromMessage(config))) };
    },
    async alterTopic({ topic, config, version }) {
      const { partitions: _fixed, ...settings } = configFromMessage(config);
      return { topic: topicToMessage(await topics.alter(checkName("topic", topic), settings, Number(version))) };
    },
    async addPartitions({ topic, partitions }) {
      return { topic: topicToMessage(await topics.addPartitions(checkName("topic", topic), partitions)) };
    },
    async purgeTopic({ topic, partition, toOffset, dryRun }) {
      const done = await log.purge({ topic: checkName("topic", topic), partition, toOffset, dryRun });
      return { partitions: done.map(purgedToMessage) };
    },
    async getTopic({ topic }) {
      const info = await topics.get(checkName("topic", topic));
      return info === undefined ? {} : { topic: topicToMessage(info) };
    },
    async listTopics() {
      return { topics: (await topics.list()).map(topicToMessage) };
    },
    async deleteTopic({ topic }) {
      await topics.delete(checkName("topic", topic));
      return {};
    },
    async getPartitionStats({ topic }) {
      return { partitions: (await topics.stats(checkName("topic", topic))).map(statsToMessage) };
    },
    async readEntries({ topic, partition, from, entriesMax, bytesMax }) {
      return log.read({
        topic: checkName("topic", topic),
        partition,
        from: startFromMessage(from),
        entriesMax: positive("entries_max", entriesMax),
        bytesMax: Math.min(positive("bytes_max", bytesMax), limits.fetchBytesMax),
      });
    },
    async getScheduled({ topic, partition }) {
      const { batches, nextInMs } = await log.scheduled({ topic: checkName("topic", topic), partition });
      return { batches: BigInt(batches), ...(nextInMs === undefined ? {} : { nextInMs: BigInt(Math.ceil(nextInMs)) }) };
    },
    async joinGroup({ start, kind, ...member }) {
      const spec = { ...member, kind: kindFromMessage(kind) };
      return { group: groupToMessage(await groups.join(spec, startFromMessage(start))) };
    },
    async heartbeatMembers({ members }) {
      const liveness = await groups.heartbeat(members);
      return {
        members: liveness.map(({ fenced, groupVersion, nextExpiryInMs }) => ({
          fenced,
          groupVersion: BigInt(groupVersion),
          nextExpiryInMs,
        })),
      };
    },
    async leaveGroup({ group, memberId, incarnation }) {
      await groups.leave({ group, memberId, incarnation });
      return {};
    },
    async releaseOwnership({ group, memberId, incarnation, partitions }) {
      return { group: groupToMessage(await groups.release({ group, memberId, incarnation }, partitions)) };
    },
    async claimPartition({ ownership, peers, page }) {
      const desks = peers === undefined ? undefined : { memberIds: peers.memberIds, epoch: Number(peers.epoch) };
      const owner = ownershipFromMessage(ownership);
      // A broker of before there were pages takes everything in one answer.
      const { position, endOffset, pending, next } =
        page === undefined
          ? await claimWhole(groups, owner, desks)
          : await groups.claim(owner, desks, pageFromMessage(page));
      return { position, endOffset, pending: pending.map(pendingToMessage), ...(next === undefined ? {} : { next }) };
    },
    async getPartitionProgress({ group, topic, partition, page }) {
      const place = { topic: checkName("topic", topic), partition };
      const progress = await pageOrWhole(page, (asked) => groups.progress(checkName("group", group), place, asked));
      if (progress === undefined) return { begun: false };
      return { ...progress, begun: true, pending: progress.pending.map(pendingToMessage) };
    },
    async getPending({ group, topic, partition, page }) {
      const place = { topic: checkName("topic", topic), partition };
      const found = await pageOrWhole(page, (asked) => groups.pending(checkName("group", group), place, asked));
      return { ...found, pending: (found?.pending ?? []).map(heldToMessage) };
    },
    async resetGroup(request) {
      const result = await groups.reset(resetFromMessage(request));
      return { version: BigInt(result.version), partitions: result.partitions.map(moveToMessage) };
    },
    async pauseGroup({ group, topic, paused }) {
      const request = { group: checkName("group", group), topic };
      return { group: groupToMessage(await (paused ? groups.pause(request) : groups.resume(request))) };
    },
    async getGroup({ group, heartbeats }) {
      const view = await groups.get(checkName("group", group), { heartbeats });
      return view === undefined ? {} : { group: groupToMessage(view) };
    },
    async listGroups() {
      return { groups: (await groups.list()).map(groupToMessage) };
    },
    async deleteGroup({ group }) {
      await groups.delete(checkName("group", group));
      return {};
    },
    async getGroupOffsets({ group }) {
      return { partitions: (await groups.offsets(checkName("group", group))).map(offsetsToMessage) };
    },
    async getStoreStatus() {
      const { engine: kind, ready, reason, durability, details } = await engine.status();
      return { engine: kind, ready, reason, durability, details: { ...details } };
    },
  };
}

/** A broker of before there were pages takes everything in one answer. */
function pageOrWhole<Page extends PendingPage>(
  page: ClaimPageMessage | undefined,
  ask: (page: ClaimPage) => Promise<Page | undefined>,
): Promise<Omit<Page, "next"> | Page | undefined> {
  return page === undefined ? wholeOf(ask) : ask(pageFromMessage(page));
}

function positive(field: string, value: number): number {
  if (value > 0) return value;
  throw new GmqError("invalid_argument", `${field} is ${value}`, { field, limit: "1 or more" });
}
