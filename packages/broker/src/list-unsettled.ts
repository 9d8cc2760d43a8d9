/** The unsettled records of a partition for AdminService.ListPending, each with the consumer that it is with. */
import { create } from "@bufbuild/protobuf";
import {
  type AdminServiceListPendingResponse,
  AdminServiceListPendingResponseSchema,
  type PendingRecord,
  PendingRecordSchema,
} from "@gmq/protocol/messages";
import {
  type Engine,
  type GroupMember,
  type GroupView,
  type HeldEntry,
  pagesOf,
  type TopicPartition,
} from "@gmq/storage";
import type { Dispatcher } from "./dispatcher-handle.js";

interface Asked {
  readonly view: GroupView | undefined;
  readonly place: TopicPartition;
  readonly pending: readonly HeldEntry[];
  readonly unsettledRecords: number;
  readonly recordsMax: number;
  readonly brokerId: string;
  /** This broker's reader of the group in the partition, if it has one. */
  readonly reader: Pick<Dispatcher, "ownership" | "holderOf"> | undefined;
}

type Holder = Pick<PendingRecord, "memberId" | "clientId" | "brokerId">;

/** The oldest pending entries, of so many pages as have `recordsMax` unsettled records, and how many unsettled records there are in all. */
export async function oldestPending(
  groups: Engine["groups"],
  group: string,
  place: TopicPartition,
  recordsMax: number,
): Promise<Pick<Asked, "pending" | "unsettledRecords">> {
  const pages: (readonly HeldEntry[])[] = [];
  let unsettledRecords = 0;
  for await (const { pending, next } of pagesOf((page) => groups.pending(group, place, page))) {
    pages.push(pending);
    for (const { recordCount, states } of pending)
      unsettledRecords += states === "" ? recordCount : states.split(".").length - 1;
    if (next === undefined || unsettledRecords < recordsMax) continue;
    // The rest is only counted, by the store.
    const all = await groups.offsets(group);
    const at = all.find(({ topic, partition }) => topic === place.topic && partition === place.partition);
    unsettledRecords = Math.max(unsettledRecords, at?.unsettledRecords ?? 0);
    break;
  }
  return { pending: pages.flat(), unsettledRecords };
}

/** The oldest first, at most `recordsMax` of them. */
export function listUnsettled(asked: Asked): AdminServiceListPendingResponse {
  const { view, place, pending, unsettledRecords, recordsMax, brokerId } = asked;
  const holderOf = createHolderOf(asked);
  const records: PendingRecord[] = [];
  for (const entry of pending) {
    if (records.length >= recordsMax) break;
    const { baseOffset, recordCount, states, attempts, due, idleMs } = entry;
    const attemptsAt = new Map(attempts.map((item) => [item.index, item.attempts]));
    const dueAt = new Map(due.map(({ index, inMs }) => [index, inMs]));
    for (let index = 0; index < recordCount && records.length < recordsMax; index++) {
      if (states !== "" && states[index] !== ".") continue;
      const offset = baseOffset + BigInt(index);
      records.push(
        create(PendingRecordSchema, {
          offset,
          attempts: attemptsAt.get(index) ?? 0,
          dueInMs: Math.min(dueAt.get(index) ?? 0, 0xffff_ffff),
          idleMs: BigInt(idleMs),
          ...holderOf(entry, offset),
        }),
      );
    }
  }
  const others = new Set(records.map((record) => record.brokerId).filter((id) => id !== "" && id !== brokerId));
  const owner = ownerOf(view, place);
  return create(AdminServiceListPendingResponseSchema, {
    records,
    unsettledRecords: BigInt(unsettledRecords),
    memberId: owner?.memberId ?? desksOf(view, place).join(", "),
    // Of an exclusive group everything is known anywhere.
    otherBrokerIds: owner === undefined ? [...others] : [],
  });
}

function ownerOf(view: GroupView | undefined, { topic, partition }: TopicPartition): GroupMember | undefined {
  const own = view?.partitions.find((one) => one.topic === topic && one.partition === partition);
  return view?.members.find(({ memberId }) => memberId === own?.memberId);
}

function desksOf(view: GroupView | undefined, { topic }: TopicPartition): string[] {
  const desks = view?.members.filter(({ kind, topics }) => kind === "desk" && topics.includes(topic)) ?? [];
  return desks.map(({ memberId }) => memberId);
}

/** Who has a record: the owner, or of what this broker's desk reads the consumer there. */
function createHolderOf({ view, place, brokerId, reader }: Asked): (entry: HeldEntry, offset: bigint) => Holder {
  const members = new Map(view?.members.map((member) => [member.memberId, member]));
  const holder = (member: GroupMember | undefined, at: string): Holder => ({
    memberId: member?.memberId ?? "",
    clientId: member?.clientId ?? "",
    brokerId: at,
  });
  const owner = ownerOf(view, place);
  return ({ desk }, offset) => {
    if (owner !== undefined) return holder(owner, owner.brokerId);
    const at = members.get(desk)?.brokerId ?? "";
    if (at !== brokerId || reader?.ownership.memberId !== desk) return holder(undefined, at);
    const memberId = reader.holderOf(offset);
    // It may have left the group's view and not yet its place here.
    const gone = { memberId: memberId ?? "", clientId: "", brokerId: at };
    return memberId === undefined
      ? holder(undefined, at)
      : members.has(memberId)
        ? holder(members.get(memberId), at)
        : gone;
  };
}
