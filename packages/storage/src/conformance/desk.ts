import { deskOwnerships } from "../coordinator/desks.js";
import type {
  ClaimResult,
  Engine,
  EntrySettle,
  GroupMemberSpec,
  GroupView,
  LogEntry,
  Ownership,
  SettleRefusal,
} from "../engine.js";
import { accepted, present } from "./assertions.js";
import { type FetchBounds, memberOf, unbounded } from "./consumer.js";

/** A desk that reads partition 0 of a topic, as brokers do for their shared consumers. */
export interface Desk {
  readonly member: GroupMemberSpec;
  readonly ownership: Ownership;
  readonly claimed: ClaimResult;
  /** Claims again by the group as it is now: takes over what desks left that are gone. */
  claim(): Promise<ClaimResult>;
  /** Claims again and takes nothing over. */
  look(): Promise<ClaimResult>;
  fetch(bounds?: FetchBounds): Promise<LogEntry[]>;
  settle(entries: readonly EntrySettle[]): Promise<SettleRefusal[]>;
}

/** Joins a desk and claims partition 0 of its first topic. */
export async function startDesk(
  engine: Engine,
  group: string,
  topic: string,
  memberId: string,
  incarnation = `${memberId}-life`,
): Promise<Desk> {
  const member = memberOf(group, [topic], { memberId, incarnation, kind: "desk" });
  const { ownership, peers } = await placeOf(engine, member, await engine.groups.join(member, "earliest"));
  const claimed = await engine.groups.claim(ownership, peers);
  let { position } = claimed;
  return {
    member,
    ownership,
    claimed,
    async claim() {
      const now = await placeOf(engine, member);
      return engine.groups.claim(ownership, now.peers);
    },
    look: () => engine.groups.claim(ownership),
    async fetch(bounds = {}) {
      const [outcome] = await engine.groups.fetch([{ ownership, position, ...unbounded, ...bounds }]);
      const fetched = accepted(outcome);
      position = fetched.position;
      return fetched.entries;
    },
    async settle(entries) {
      const [outcome] = await engine.groups.settle([{ ownership, entries }]);
      return [...accepted(outcome).refusals];
    },
  };
}

async function placeOf(engine: Engine, { group, memberId, topics }: GroupMemberSpec, view?: GroupView) {
  const now = view ?? present(await engine.groups.get(group), "group");
  const desk = present(now.members.find((member) => member.memberId === memberId));
  const place = present(
    deskOwnerships(now, desk).find(({ topic, partition }) => topic === topics[0] && partition === 0),
    "ownership",
  );
  const { topic, partition, epoch, peers } = place;
  const ownership: Ownership = { group, topic, partition, memberId, epoch, shared: true };
  return { ownership, peers };
}
