import { checkName, GmqError, limits } from "@gmq/protocol";
import type {
  GroupLook,
  GroupMember,
  GroupMemberSpec,
  GroupStore,
  GroupView,
  MemberRef,
  SignalHub,
  TopicStore,
} from "../engine.js";
import { checkMember } from "./check-member.js";
import { createGroupChanges, type DecidedChange, type GroupChange } from "./group-changes.js";
import { decodeGroup, type GroupDocument, sessionOf, viewOf } from "./group-document.js";
import type { GroupDocuments } from "./group-documents.js";
import { createGroupPlaces } from "./group-places.js";
import type { CurrentTopics, GroupEvent } from "./reconcile.js";

/** Membership and assignment of groups; the engine adds what touches records (claim, fetch, settle, offsets). */
export type GroupCoordinator = Pick<
  GroupStore,
  | "join"
  | "heartbeat"
  | "leave"
  | "release"
  | "get"
  | "list"
  | "delete"
  | "pending"
  | "progress"
  | "reset"
  | "pause"
  | "resume"
>;

/** Attempts to delete a group while others look at it. */
const deleteAttemptsMax = 8;

/**
 * Makes a coordinator over an engine's documents. Any number of them may run over one store: there is no leader.
 * Members whose sessions ran out go, and their partitions pass on, whenever anybody looks at the group or renews a session in it. Topics that grew, or were
 * deleted and made again, are taken in with the first heartbeat after the topic's signal.
 */
export function createGroupCoordinator(
  documents: GroupDocuments,
  topics: Pick<TopicStore, "get">,
  signals: SignalHub,
): GroupCoordinator {
  const { change } = createGroupChanges(documents, topics);
  /** Groups looked at since a topic changed; one that is missing is looked at with its next heartbeat. */
  const current = new Set<string>();
  signals.subscribe(({ kind }) => {
    if (kind === "topic" || kind === "resync") current.clear();
  });

  async function refresh(group: string): Promise<GroupView> {
    if (current.size >= limits.groupsWatchedMax) current.clear();
    // Before the look: a topic that changes during it has to be looked at again.
    current.add(group);
    try {
      return await change(group, lookAgain);
    } catch (error) {
      current.delete(group);
      throw error;
    }
  }

  async function get(group: string, { heartbeats = false }: GroupLook = {}): Promise<GroupView | undefined> {
    checkName("group", group);
    const { version, document, expired } = await documents.load(group);
    if (document === undefined) return undefined;
    const view = expired.length > 0 ? await refresh(group) : viewOf(group, version, decodeGroup(document));
    return heartbeats ? withHeartbeats(view, await documents.sessionsLeftMs(group)) : view;
  }

  return {
    async join(member, start) {
      checkMember(member);
      return change(member.group, {
        topics: member.topics,
        start,
        decide: (document, topicsNow, { nowMs }) => decideJoin(member, document, topicsNow, nowMs),
      });
    },

    async heartbeat(members) {
      const touched = await documents.touch(
        members.map((member) => ({
          group: member.group,
          session: sessionOf(member),
          timeoutMs: member.sessionTimeoutMs,
        })),
      );
      const due = new Set<string>();
      members.forEach(({ group }, index) => {
        const touch = touched[index];
        if (touch?.anyExpired === true || (touch?.alive === true && !current.has(group))) due.add(group);
      });
      // A look that fails takes nothing from the sessions that were renewed; the next heartbeat looks again.
      const looks = await Promise.allSettled(Array.from(due, refresh));
      const seen = new Map(
        looks.flatMap((look) => (look.status === "fulfilled" ? [[look.value.group, look.value.version] as const] : [])),
      );
      return members.map(({ group }, index) => ({
        fenced: touched[index]?.alive !== true,
        groupVersion: seen.get(group) ?? touched[index]?.version ?? 0,
        nextExpiryInMs: touched[index]?.nextExpiryInMs,
      }));
    },

    async leave(member) {
      const session = sessionOf(member);
      await change(checkName("group", member.group), changeOf(member, { leave: session }, [session]));
    },

    async release(member, partitions) {
      const event = { release: { session: sessionOf(member), partitions } };
      return change(checkName("group", member.group), changeOf(member, event, []));
    },

    get,
    ...createGroupPlaces(documents, change, get),

    async list() {
      const views = await Promise.all((await documents.list()).map((group) => get(group)));
      return views.filter((view) => view !== undefined);
    },

    async delete(group) {
      checkName("group", group);
      for (let attempt = 0; attempt < deleteAttemptsMax; attempt++) {
        const { version, document, expired } = await documents.load(group);
        if (document === undefined) {
          throw new GmqError("group_not_found", `there is no group ${group}`, { field: "group" });
        }
        const { members, partitions } = decodeGroup(document);
        const alive = members.filter((member) => !expired.includes(sessionOf(member)));
        if (alive.length > 0) {
          throw new GmqError("group_not_empty", `the group ${group} has ${alive.length} members`, { field: "group" });
        }
        if (await documents.delete(group, version, partitions)) return;
      }
      throw new GmqError("conflict", `the group ${group} changed while it was deleted`, { field: "group" });
    },
  };
}

/** A heartbeat puts a session's end a whole timeout ahead: what is missing of it is how long ago that was. */
function withHeartbeats(view: GroupView, leftMs: ReadonlyMap<string, number>): GroupView {
  const members = view.members.map((member): GroupMember => {
    const left = leftMs.get(sessionOf(member));
    if (left === undefined) return member;
    return { ...member, heartbeatAgeMs: Math.max(0, Math.round(member.sessionTimeoutMs - left)) };
  });
  return { ...view, members };
}

/** Nothing but what time and topics did. A group that is gone stays gone. */
const lookAgain: GroupChange = {
  topics: [],
  start: "earliest",
  decide: ({ members, topics }) => (members.length + topics.length > 0 ? { event: {} } : undefined),
};

function decideJoin(
  member: GroupMemberSpec,
  document: GroupDocument,
  topics: CurrentTopics,
  nowMs: number,
): DecidedChange {
  const missing = member.topics.find((topic) => !topics.has(topic));
  if (missing !== undefined) throw new GmqError("topic_not_found", `there is no topic ${missing}`, { field: "topics" });
  const others = document.members.filter(({ memberId }) => memberId !== member.memberId);
  if (others.length >= limits.membersPerGroupMax) {
    throw new GmqError("resource_exhausted", `the group ${member.group} is full`, {
      field: "group",
      limit: `${limits.membersPerGroupMax} members`,
    });
  }
  refuseOtherMode(member, others);
  const names = new Set([...member.topics, ...document.topics.map(({ topic }) => topic)]);
  const partitions = Array.from(names, (name) => topics.get(name)?.config.partitions ?? 0).reduce(
    (sum, n) => sum + n,
    0,
  );
  if (partitions > limits.partitionsPerGroupMax) {
    throw new GmqError("invalid_argument", `the topics of the group ${member.group} have ${partitions} partitions`, {
      field: "topics",
      limit: `${limits.partitionsPerGroupMax} partitions`,
    });
  }
  const { group, memberId, incarnation, clientId, clientVersion, brokerId, sessionTimeoutMs, staticMember, kind } =
    member;
  const earlier = document.members.find((known) => known.memberId === memberId);
  const session = sessionOf(member);
  return {
    event: {
      join: {
        group,
        memberId,
        incarnation,
        clientId,
        clientVersion,
        brokerId,
        topics: [...new Set(member.topics)],
        sessionTimeoutMs,
        staticMember,
        joinedAtMs: earlier?.incarnation === incarnation ? earlier.joinedAtMs : nowMs,
        ...(kind === undefined ? {} : { kind }),
      },
    },
    renew: { session, timeoutMs: sessionTimeoutMs },
    remove: earlier === undefined || sessionOf(earlier) === session ? [] : [sessionOf(earlier)],
  };
}

/** Exclusive owners and desks that read beside each other exclude each other: who comes first decides, until the last has left. */
function refuseOtherMode({ group, kind }: GroupMemberSpec, others: readonly GroupMember[]): void {
  const isShared = kind !== undefined;
  const other = others.find((known) => (known.kind !== undefined) !== isShared);
  if (other === undefined) return;
  const [wanted, present] = isShared ? ["shared", "exclusive"] : ["exclusive", "shared"];
  throw new GmqError("invalid_argument", `the group ${group} has ${present} members: ${wanted} ones cannot join`, {
    field: "mode",
    limit: present,
  });
}

/** A change by a member; none when the group does not know this life of it (any more). */
function changeOf(member: MemberRef, event: GroupEvent, remove: readonly string[]): GroupChange {
  const session = sessionOf(member);
  return {
    topics: [],
    start: "earliest",
    decide: ({ members }) => (members.some((known) => sessionOf(known) === session) ? { event, remove } : undefined),
  };
}
