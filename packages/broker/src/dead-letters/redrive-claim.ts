/** Takes a dead-letter topic for one redrive: the reserved group's member owns all its partitions, and whoever comes second is refused. */
import { randomUUID } from "node:crypto";
import { GmqError, limits, redriveGroup } from "@gmq/protocol";
import type { ClaimResult, GroupStore, Ownership, TopicInfo } from "@gmq/storage";
import type { Membership, Memberships } from "../membership.js";

/** A partition of a dead-letter topic that this redrive owns. */
export interface ClaimedPartition {
  readonly ownership: Ownership;
  readonly claim: ClaimResult;
}

export interface RedriveClaim {
  /** By number, all of the topic's. */
  readonly partitions: readonly ClaimedPartition[];
  /** Fires with the reason when a partition is lost: nothing can be settled any more. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

const claimTimeoutMs = 10_000;

/**
 * Joins the reserved group and waits for every partition.
 * @throws GmqError `conflict` when another redrive of the topic runs, and what `Memberships.join` throws
 */
export async function claimForRedrive(
  groups: Pick<GroupStore, "get">,
  memberships: Memberships,
  { name, config }: TopicInfo,
  brokerId: string,
): Promise<RedriveClaim> {
  const memberId = `redrive-${randomUUID()}`;
  await refuseIfTaken(groups, name, memberId);
  const claimed = new Map<number, ClaimedPartition>();
  const all = Promise.withResolvers<void>();
  const lost = new AbortController();
  const membership = await memberships.join(memberOf(name, memberId, brokerId), "earliest", {
    assigned(ownership, claim) {
      claimed.set(ownership.partition, { ownership, claim });
      if (claimed.size === config.partitions) all.resolve();
    },
    // Another redrive has joined and will find that it is the second: nothing is given up for it.
    revoke: () => undefined,
    lost: (_partition, error) => lost.abort(error),
    ended(error) {
      lost.abort(error);
      all.reject(error);
    },
  });
  const timer = setTimeout(() => all.reject(conflict(name)), claimTimeoutMs);
  try {
    await refuseIfTaken(groups, name, memberId);
    await all.promise;
  } catch (error) {
    all.promise.catch(told);
    await end(membership);
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return {
    partitions: [...claimed.values()].sort((one, other) => one.ownership.partition - other.ownership.partition),
    lost: lost.signal,
    release: () => end(membership),
  };
}

/** The member that joined first has the topic; before our own join, any other has. */
async function refuseIfTaken(groups: Pick<GroupStore, "get">, topic: string, memberId: string): Promise<void> {
  const members = ((await groups.get(redriveGroup))?.members ?? []).filter(({ topics }) => topics.includes(topic));
  const own = members.find((member) => member.memberId === memberId);
  const isTaken = members.some(
    (other) =>
      other.memberId !== memberId &&
      (own === undefined ||
        other.joinedAtMs < own.joinedAtMs ||
        (other.joinedAtMs === own.joinedAtMs && other.memberId < memberId)),
  );
  if (isTaken) throw conflict(topic);
}

function conflict(topic: string): GmqError {
  return new GmqError("conflict", `another redrive of ${topic} is under way`, { field: "group" });
}

function memberOf(topic: string, memberId: string, brokerId: string) {
  return {
    group: redriveGroup,
    memberId,
    incarnation: memberId,
    clientId: "redrive",
    clientVersion: "",
    brokerId,
    topics: [topic],
    sessionTimeoutMs: limits.sessionTimeoutMsDefault,
    staticMember: false,
  };
}

async function end(membership: Membership): Promise<void> {
  try {
    await membership.end({ leave: true });
  } catch (error) {
    // A member that cannot leave runs out by itself.
    told(error);
  }
}

function told(_error: unknown): void {
  // its reason was given by another way, or there is nobody to tell
}
