import type { DeskPeers, GroupMember, GroupView, PartitionOwnership } from "../engine.js";
import { heldMember } from "../engine-groups.js";

/** A partition that a desk reads, with those who read it too. */
export interface DeskOwnership extends PartitionOwnership {
  readonly peers: DeskPeers;
}

/**
 * What a desk of a shared group reads by this view: every partition of its topics, but for those that a reset holds; of a paused one it is asked to let go.
 * Pure. Its epoch in a partition grows with each life of the desk and with each reset there.
 */
export function deskOwnerships({ epoch, members, partitions }: GroupView, desk: GroupMember): DeskOwnership[] {
  const desks = members.filter(({ kind }) => kind === "desk");
  return partitions
    .filter(({ topic, hold }) => hold !== "reset" && desk.topics.includes(topic))
    .map((row) => {
      const readers = desks.filter(({ topics }) => topics.includes(row.topic));
      return {
        ...row,
        memberId: desk.memberId,
        epoch: Math.max(desk.epoch ?? 0, row.epoch),
        nextMemberId: row.hold === "paused" ? heldMember : undefined,
        peers: { memberIds: readers.map(({ memberId }) => memberId), epoch },
      };
    });
}
