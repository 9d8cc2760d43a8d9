import type {
  ClaimResult,
  Engine,
  EntrySettle,
  GroupMemberSpec,
  LogEntry,
  Ownership,
  SettleRange,
  SettleRefusal,
  StartPosition,
} from "../engine.js";
import { accepted, present } from "./assertions.js";

/** A member that owns partition 0 of a topic, and does with it what brokers do. */
export interface Consumer {
  readonly group: string;
  readonly member: GroupMemberSpec;
  readonly ownership: Ownership;
  /** As it was on taking over. */
  readonly claimed: ClaimResult;
  /** Claims again under the same epoch: shows what is pending. */
  claim(): Promise<ClaimResult>;
  /** Fetches on from where the fetch before ended. */
  fetch(bounds?: FetchBounds): Promise<LogEntry[]>;
  /** Settles ranges of one entry; the refusals. */
  settle(entry: Pick<LogEntry, "baseOffset" | "recordCount">, ranges: readonly SettleRange[]): Promise<SettleRefusal[]>;
  settleEntries(entries: readonly EntrySettle[]): Promise<SettleRefusal[]>;
  /** Acks whole entries. */
  ack(entries: readonly LogEntry[]): Promise<void>;
}

export interface FetchBounds {
  readonly recordsMax?: number;
  readonly bytesMax?: number;
}

/** More than any case stores. */
export const unbounded = { recordsMax: 1_000_000, bytesMax: 2 * 1024 * 1024 } as const;

/** A member of a group as the suite makes it. */
export function memberOf(
  group: string,
  topics: readonly string[],
  changes: Partial<GroupMemberSpec> = {},
): GroupMemberSpec {
  return {
    group,
    memberId: "m1",
    incarnation: "life-1",
    clientId: "conformance",
    clientVersion: "1.0",
    brokerId: "broker-1",
    topics,
    sessionTimeoutMs: 60_000,
    staticMember: false,
    ...changes,
  };
}

/** Joins a member and claims partition 0 of its first topic. */
export async function startConsumer(engine: Engine, member: GroupMemberSpec, start: StartPosition): Promise<Consumer> {
  const { group, memberId } = member;
  const topic = present(member.topics[0], "topic");
  const view = await engine.groups.join(member, start);
  const owned = view.partitions.find((place) => place.topic === topic && place.partition === 0);
  if (owned?.memberId !== memberId) throw new Error(`${memberId} does not own ${topic}/0`);
  const ownership: Ownership = { group, topic, partition: 0, memberId, epoch: owned.epoch };
  const claimed = await engine.groups.claim(ownership);
  let { position } = claimed;

  async function settleEntries(entries: readonly EntrySettle[]): Promise<SettleRefusal[]> {
    const [outcome] = await engine.groups.settle([{ ownership, entries }]);
    return [...accepted(outcome).refusals];
  }

  return {
    group,
    member,
    ownership,
    claimed,
    claim: () => engine.groups.claim(ownership),
    async fetch(bounds = {}) {
      const [outcome] = await engine.groups.fetch([{ ownership, position, ...unbounded, ...bounds }]);
      const fetched = accepted(outcome);
      position = fetched.position;
      return fetched.entries;
    },
    settle: ({ baseOffset, recordCount }, ranges) => settleEntries([{ baseOffset, recordCount, ranges }]),
    settleEntries,
    async ack(entries) {
      const refusals = await settleEntries(entries.map(wholly));
      if (refusals.length > 0) throw present(refusals[0]).error;
    },
  };
}

/** Everything of an entry, acked. */
export function wholly({ baseOffset, recordCount }: LogEntry): EntrySettle {
  return { baseOffset, recordCount, ranges: [ack(baseOffset, baseOffset + BigInt(recordCount) - 1n)] };
}

export function ack(firstOffset: bigint, lastOffset = firstOffset): SettleRange {
  return { firstOffset, lastOffset, verb: "ack" };
}

export function release(firstOffset: bigint, lastOffset = firstOffset): SettleRange {
  return { firstOffset, lastOffset, verb: "release" };
}

export function retry(firstOffset: bigint, lastOffset: bigint, delayMs: number): SettleRange {
  return { firstOffset, lastOffset, verb: "retry", delayMs };
}
