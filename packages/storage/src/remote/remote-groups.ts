import { GmqError, limits } from "@gmq/protocol";
import type { FetchOutcome, GroupStore, MemberLiveness, Ownership, PartitionSettle, SettleOutcome } from "../engine.js";
import {
  groupFromMessage,
  kindToMessage,
  moveFromMessage,
  offsetsFromMessage,
  startToMessage,
} from "../wire/group-messages.js";
import {
  claimFromMessage,
  fetchOutcomeFromMessage,
  fetchToMessage,
  heldFromMessage,
  ownershipToMessage,
  pageToMessage,
  pendingFromMessage,
  settleOutcomeFromMessage,
  settleToMessage,
} from "../wire/record-messages.js";
import type { Links } from "./links.js";
import type { LinkAnswer, LinkFrame, StorageLink } from "./storage-link.js";

/** Groups over links. Calls of one group go to one service while it lives, so that their changes meet there (fewer lost races). */
export function createRemoteGroups(links: Links): GroupStore {
  const client = async (group: string): Promise<StorageLink["client"]> => (await links.for(`group ${group}`)).client;

  /** Sends items to their partitions' services, one request each, and puts the answers back in order. */
  async function spread<Item extends { readonly ownership: Ownership }, Outcome>(
    items: readonly Item[],
    frameOf: (items: readonly Item[]) => LinkFrame,
    outcomesOf: (answer: LinkAnswer) => readonly Outcome[],
    failed: (error: GmqError) => Outcome,
  ): Promise<Outcome[]> {
    const outcomes = new Array<Outcome>(items.length);
    const byLink = new Map<StorageLink, number[]>();
    await Promise.all(
      items.map(async ({ ownership: { topic, partition } }, index) => {
        const name = `${topic}/${partition}`;
        try {
          const link = links.readyFor(name) ?? (await links.for(name));
          const indexes = byLink.get(link);
          if (indexes === undefined) byLink.set(link, [index]);
          else indexes.push(index);
        } catch (error) {
          outcomes[index] = failed(GmqError.from(error));
        }
      }),
    );
    await Promise.all(
      Array.from(byLink, async ([link, indexes]) => {
        const own = indexes.map((index) => items[index] as Item);
        try {
          const answers = outcomesOf(await link.request(frameOf(own), 0));
          indexes.forEach((index, at) => {
            outcomes[index] = answers[at] ?? failed(new GmqError("internal", "the service left a request unanswered"));
          });
        } catch (cause) {
          const error = storeError(cause);
          for (const index of indexes) outcomes[index] = failed(error);
        }
      }),
    );
    return outcomes;
  }

  return {
    async join({ topics, kind, ...member }, start) {
      const request = { ...member, topics: [...topics], start: startToMessage(start), kind: kindToMessage(kind) };
      return groupOf((await (await client(member.group)).joinGroup(request)).group);
    },

    async heartbeat(members) {
      const liveness: MemberLiveness[] = [];
      for (let first = 0; first < members.length; first += membersPerHeartbeatMax) {
        const { client: service } = await links.for("heartbeats");
        const piece = members.slice(first, first + membersPerHeartbeatMax);
        const answer = await service.heartbeatMembers({
          members: piece.map(({ group, memberId, incarnation, sessionTimeoutMs }) => ({
            group,
            memberId,
            incarnation,
            sessionTimeoutMs,
          })),
        });
        for (const { fenced, groupVersion, nextExpiryInMs } of answer.members)
          liveness.push({ fenced, groupVersion: Number(groupVersion), nextExpiryInMs });
      }
      return liveness;
    },

    async leave({ group, memberId, incarnation }) {
      await (await client(group)).leaveGroup({ group, memberId, incarnation });
    },

    async release({ group, memberId, incarnation }, partitions) {
      const request = {
        group,
        memberId,
        incarnation,
        partitions: partitions.map(({ topic, partition }) => ({ topic, partition })),
      };
      return groupOf((await (await client(group)).releaseOwnership(request)).group);
    },

    async get(group, { heartbeats = false } = {}) {
      const answer = await (await client(group)).getGroup({ group, heartbeats });
      return answer.group === undefined ? undefined : groupFromMessage(answer.group);
    },

    async list() {
      return (await (await links.for("groups")).client.listGroups({})).groups.map(groupFromMessage);
    },

    async delete(group) {
      await (await client(group)).deleteGroup({ group });
    },

    async offsets(group) {
      return (await (await client(group)).getGroupOffsets({ group })).partitions.map(offsetsFromMessage);
    },

    async pending(group, { topic, partition }, page) {
      const link = await links.for(`${topic}/${partition}`);
      const answer = await link.client.getPending({ group, topic, partition, page: pageToMessage(page) });
      return { pending: answer.pending.map(heldFromMessage), next: answer.next };
    },

    async reset({ group, topic, partitions, to, dryRun, expectedVersion }) {
      const answer = await (await client(group)).resetGroup({
        group,
        topic,
        partitions: [...(partitions ?? [])],
        to: startToMessage(to),
        dryRun,
        ...(expectedVersion === undefined ? {} : { expectedVersion: BigInt(expectedVersion) }),
      });
      return { version: Number(answer.version), partitions: answer.partitions.map(moveFromMessage) };
    },

    async pause({ group, topic }) {
      return groupOf((await (await client(group)).pauseGroup({ group, topic, paused: true })).group);
    },

    async resume({ group, topic }) {
      return groupOf((await (await client(group)).pauseGroup({ group, topic, paused: false })).group);
    },

    follow(fetch, events) {
      const { topic, partition } = fetch.ownership;
      return links.readyFor(`${topic}/${partition}`)?.follow(fetchToMessage(fetch), {
        fetched(message) {
          const outcome = fetchOutcomeFromMessage(message);
          if (outcome.ok) events.fetched(outcome);
        },
        ended: (error) => events.ended(error === undefined ? undefined : storeError(error)),
      });
    },

    async claim(ownership, peers, page) {
      const link = await links.for(`${ownership.topic}/${ownership.partition}`);
      const request = {
        ownership: ownershipToMessage(ownership),
        ...(peers === undefined ? {} : { peers: { memberIds: [...peers.memberIds], epoch: BigInt(peers.epoch) } }),
        page: pageToMessage(page),
      };
      return claimFromMessage(await link.client.claimPartition(request));
    },

    fetch: (fetches) =>
      spread(
        fetches,
        (items) => ({ case: "fetch", value: { fetches: items.map(fetchToMessage) } }),
        (answer): FetchOutcome[] =>
          answer.case === "fetched" ? answer.value.partitions.map(fetchOutcomeFromMessage) : [],
        (error) => ({ ok: false, error }),
      ),

    async settle(settles) {
      const answers = piecesOf(settles).map((piece) =>
        spread<PartitionSettle, SettleOutcome>(
          piece,
          (items) => ({ case: "settle", value: { settles: items.map(settleToMessage) } }),
          (answer): SettleOutcome[] =>
            answer.case === "settled" ? answer.value.partitions.map(settleOutcomeFromMessage) : [],
          (error) => ({ ok: false, error }),
        ),
      );
      return (await Promise.all(answers)).flat();
    },

    async progress(group, { topic, partition }, page) {
      const { client: service } = await links.for(`${topic}/${partition}`);
      const asked = { group, topic, partition, page: pageToMessage(page) };
      const { begun, position, pending, next } = await service.getPartitionProgress(asked);
      return begun ? { position, pending: pending.map(pendingFromMessage), next } : undefined;
    },
  };
}

/** With three names of the longest each they fit a frame. */
const membersPerHeartbeatMax = 10_000;

/** Settlements in one frame, about: no more ranges than one settlement may have, so that an answer that refuses all of them fits a frame too. */
const settleBytesMax = 2 * 1024 * 1024;
const rangeBytes = settleBytesMax / limits.settleRangesPerFrameMax;
/** An entry without its ranges, and a partition without its names and entries. */
const entryBytes = 24;

/** Cuts a call into frames: as a rule one. One partition's settlement is not cut: it came in one frame and fits one. */
function piecesOf(settles: readonly PartitionSettle[]): PartitionSettle[][] {
  const pieces: PartitionSettle[][] = [];
  let bytes = 0;
  for (const settle of settles) {
    const own = bytesOf(settle);
    const piece = pieces.at(-1);
    if (piece === undefined || bytes + own > settleBytesMax) {
      pieces.push([settle]);
      bytes = own;
    } else {
      piece.push(settle);
      bytes += own;
    }
  }
  return pieces;
}

function bytesOf({ ownership: { topic, group, memberId }, entries }: PartitionSettle): number {
  let bytes = entryBytes * (1 + entries.length) + topic.length + group.length + memberId.length;
  for (const { ranges } of entries) {
    bytes += ranges.length * rangeBytes;
    for (const { reason, errorText } of ranges)
      if (reason !== undefined) bytes += reason.length + (errorText?.length ?? 0);
  }
  return bytes;
}

/** A lost link is the store not answering, for the one who reads or settles: both may be asked again. */
function storeError(cause: unknown): GmqError {
  const error = GmqError.from(cause);
  return error.code === "unavailable" ? new GmqError("store_unavailable", error.message, { cause: error }) : error;
}

function groupOf(message: Parameters<typeof groupFromMessage>[0] | undefined): ReturnType<typeof groupFromMessage> {
  if (message === undefined) throw new GmqError("internal", "the service answered without the group");
  return groupFromMessage(message);
}
