/**
 * Where a group stands in its topics, and how an operator moves or stops it. A move is safe beside living consumers: a hold takes the partitions from their
 * owners, each partition moves under an epoch above theirs, then the hold is lifted and the partitions are assigned anew. Any storage process can run it.
 */
import { randomUUID } from "node:crypto";
import { checkName, GmqError, limits } from "@gmq/protocol";
import type {
  GroupMove,
  GroupPause,
  GroupStore,
  GroupView,
  PartitionOwnership,
  PartitionProgress,
  StartPosition,
} from "../engine.js";
import { unsettledState } from "../log/entry-states.js";
import { wholeOf } from "../pages-of.js";
import type { GroupChanges } from "./group-changes.js";
import { type GroupDocument, pausedHold } from "./group-document.js";
import type { GroupDocuments } from "./group-documents.js";
import type { GroupEvent } from "./reconcile.js";

/** Makes the part of the coordinator that reads and moves places. */
export function createGroupPlaces(
  documents: GroupDocuments,
  change: GroupChanges["change"],
  get: GroupStore["get"],
): Pick<GroupStore, "pending" | "progress" | "reset" | "pause" | "resume"> {
  async function existing(group: string): Promise<GroupView> {
    const view = await get(group);
    if (view !== undefined) return view;
    throw notFound(group);
  }

  /** Ends a hold that has a session; none is left of a group that was deleted meanwhile. */
  function lift(group: string, name: string): Promise<GroupView> {
    return change(group, {
      topics: [],
      start: "earliest",
      decide: (document) => (isThere(document) ? { event: { lift: { name } }, remove: [name] } : undefined),
    });
  }

  async function pauseOrResume({ group, topic }: GroupPause, paused: boolean): Promise<GroupView> {
    checkName("group", group);
    return change(group, {
      topics: [],
      start: "earliest",
      decide(document) {
        if (!isThere(document)) throw notFound(group);
        const partitions = document.partitions.filter((partition) => topic === undefined || partition.topic === topic);
        if (topic !== undefined && partitions.length === 0) throw notConsumed(group, topic);
        const event: GroupEvent = paused
          ? { hold: { name: pausedHold, partitions, fence: false } }
          : { lift: { name: pausedHold, ...(topic === undefined ? {} : { topics: [topic] }) } };
        return { event };
      },
    });
  }

  return {
    async pending(group, partition, page) {
      await existing(group);
      const { pending = [], next } = (await documents.progress(group, partition, page)) ?? {};
      return { pending, next };
    },

    progress: (group, partition, page) => documents.progress(group, partition, page),

    async reset({ group, topic, partitions, to, dryRun, expectedVersion }) {
      checkName("topic", topic);
      const view = await existing(group);
      const own = chosen(view, group, topic, partitions);
      const targets = await Promise.all(own.map((partition) => targetOf(documents, partition, to)));
      if (dryRun) {
        const moves = own.map(async (partition, index) => {
          const progress = await wholeOf((page) => documents.progress(group, partition, page));
          return moveOf(partition, progress ?? { position: 0n, pending: [] }, targets[index] as bigint);
        });
        return { version: view.version, partitions: await Promise.all(moves) };
      }
      const name = `reset/${randomUUID()}`;
      const held = await change(group, {
        topics: [],
        start: "earliest",
        decide(document, _topics, { version }) {
          if (!isThere(document)) throw notFound(group);
          if (expectedVersion !== undefined && version !== expectedVersion) {
            throw new GmqError("conflict", `the group ${group} changed: it is at version ${version}`, {
              field: "expected_version",
              limit: String(expectedVersion),
            });
          }
          return {
            event: { hold: { name, partitions: own, fence: true } },
            renew: { session: name, timeoutMs: limits.groupHoldMsMax },
          };
        },
      });
      try {
        const moves = await Promise.all(
          own.map(async ({ topic: _, partition }, index) => {
            const epoch = held.partitions.find((one) => one.topic === topic && one.partition === partition)?.epoch ?? 0;
            const target = targets[index] as bigint;
            return moveOf(
              { topic, partition },
              await documents.reposition(group, { topic, partition }, epoch, target),
              target,
            );
          }),
        );
        return {
          version: (await lift(group, name)).version,
          partitions: moves,
        };
      } catch (error) {
        await lift(group, name);
        throw error;
      }
    },

    pause: (request) => pauseOrResume(request, true),
    resume: (request) => pauseOrResume(request, false),
  };
}

function chosen(
  view: GroupView,
  group: string,
  topic: string,
  wanted: readonly number[] | undefined,
): PartitionOwnership[] {
  const all = view.partitions.filter((partition) => partition.topic === topic);
  if (all.length === 0) throw notConsumed(group, topic);
  if (wanted === undefined) return all;
  const missing = wanted.find((number) => !all.some(({ partition }) => partition === number));
  if (missing === undefined) return all.filter(({ partition }) => wanted.includes(partition));
  throw new GmqError("partition_not_found", `the topic ${topic} has no partition ${missing}`, {
    field: "partitions",
    limit: `0 to ${all.length - 1}`,
  });
}

/** @throws GmqError `invalid_argument` for an offset past the end */
async function targetOf(documents: GroupDocuments, partition: PartitionOwnership, to: StartPosition): Promise<bigint> {
  const target = await documents.offsetOf(partition, to);
  if (typeof to === "object" && "offset" in to && to.offset > target) {
    const end = await documents.offsetOf(partition, "latest");
    if (to.offset > end) {
      throw new GmqError(
        "invalid_argument",
        `offset ${to.offset} is past the end of ${partition.topic}/${partition.partition}`,
        {
          field: "to.offset",
          limit: `0 to ${end}`,
        },
      );
    }
  }
  return target;
}

function moveOf(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  { position, pending }: PartitionProgress,
  after: bigint,
): GroupMove {
  let unsettledBelow = 0;
  let unsettledAbove = 0;
  for (const { baseOffset, recordCount, states } of pending) {
    for (let index = 0; index < recordCount; index++) {
      if (states !== "" && states[index] !== unsettledState) continue;
      if (baseOffset + BigInt(index) < after) unsettledBelow++;
      else unsettledAbove++;
    }
  }
  const back = position > after ? Number(position - after) : 0;
  const ahead = after > position ? Number(after - position) : 0;
  return {
    topic,
    partition,
    before: position,
    after,
    rereadRecords: Math.max(0, back - unsettledAbove),
    skippedRecords: ahead + unsettledBelow,
  };
}

/** A group that was ever joined, and not deleted since. */
function isThere({ members, topics }: GroupDocument): boolean {
  return members.length + topics.length > 0;
}

function notFound(group: string): GmqError {
  return new GmqError("group_not_found", `there is no group ${group}`, { field: "group" });
}

function notConsumed(group: string, topic: string): GmqError {
  return new GmqError("topic_not_found", `the group ${group} does not consume ${topic}`, { field: "topic" });
}
