/** Who joined, left or got another partition, as the portal saw it while it looked at the cluster. What changed and changed back between two looks is not in it. */
import { create } from "@bufbuild/protobuf";
import { type GroupEvent, GroupEventSchema, type GroupView } from "@gmq/protocol/messages";

/** What happened to groups, the newest 200 events of each. */
export interface GroupTimeline {
  /** Notes a group as it is now; the first look at it tells nothing. */
  note(view: GroupView, atMs: number): void;
  events(group: string): { readonly events: readonly GroupEvent[]; readonly watchedSinceMs: number };
  forget(group: string): void;
}

interface Watched {
  view: GroupView;
  readonly sinceMs: number;
  events: readonly GroupEvent[];
}

const eventsMax = 200;
const groupsMax = 5_000;

/** Makes an empty one. */
export function createGroupTimeline(): GroupTimeline {
  const groups = new Map<string, Watched>();
  return {
    note(view, atMs) {
      const known = groups.get(view.group);
      if (known === undefined) {
        if (groups.size < groupsMax) groups.set(view.group, { view, sinceMs: atMs, events: [] });
        return;
      }
      if (view.version === known.view.version) return;
      known.events = [...difference(known.view, view, atMs), ...known.events].slice(0, eventsMax);
      known.view = view;
    },
    events(group) {
      const known = groups.get(group);
      return { events: known?.events ?? [], watchedSinceMs: known?.sinceMs ?? 0 };
    },
    forget: (group) => void groups.delete(group),
  };
}

/** What happened between two views, newest first. */
export function difference(before: GroupView, now: GroupView, atMs: number): GroupEvent[] {
  const at = { atMs: BigInt(atMs), version: now.version };
  const membersBefore = new Map(before.members.map((member) => [member.memberId, member]));
  const membersNow = new Map(now.members.map((member) => [member.memberId, member]));
  const owners = new Map(before.partitions.map((one) => [`${one.topic}/${one.partition}`, one]));
  const joined = now.members.filter(({ memberId }) => !membersBefore.has(memberId));
  const left = before.members.filter(({ memberId }) => !membersNow.has(memberId));
  const moved = now.partitions.flatMap(({ topic, partition, memberId, hold }) => {
    const last = owners.get(`${topic}/${partition}`);
    if (hold !== (last?.hold ?? "") && hold !== "") {
      return [{ ...at, kind: "held", topic, partition, memberId: "", fromMemberId: last?.memberId ?? "" }];
    }
    if (memberId === (last?.memberId ?? "")) return [];
    return [{ ...at, kind: "moved", topic, partition, memberId, fromMemberId: last?.memberId ?? "" }];
  });
  return [
    ...moved,
    ...joined.map(({ memberId, clientId }) => ({ ...at, kind: "joined", memberId, clientId })),
    ...left.map(({ memberId, clientId }) => ({ ...at, kind: "left", memberId, clientId })),
  ].map((event) => create(GroupEventSchema, event));
}
