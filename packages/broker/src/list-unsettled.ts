/** The unsettled records of a partition for AdminService.ListPending, each with the consumer that it is with. */
import { create } from "@bufbuild/protobuf";
import {
  type AdminServiceListPendingResponse,
  AdminServiceListPendingResponseSchema,
  type PendingRecord,
  PendingRecordSchema,
} from "@gmq/protocol/messages";
import type { GroupMember, GroupView, HeldEntry, TopicPartition } from "@gmq/storage";
import type { Dispatcher } from "./dispatcher-handle.js";

interface Asked {
  readonly view: GroupView | undefined;
  readonly place: TopicPartition;
  readonly pending: readonly HeldEntry[];
  readonly recordsMax: number;
  readonly brokerId: string;
  /** This broker's reader of the group in the partition, if it has one. */
  readonly reader: Pick<Dispatcher, "ownership" | "holderOf"> | undefined;
}

type Holder = Pick<PendingRecord, "memberId" | "clientId" | "brokerId">;

/** The oldest first, at most `recordsMax` of them, and how many there are in all. */
export function listUnsettled(asked: Asked): AdminServiceListPendingResponse {
  const { view, place, pending, recordsMax, brokerId } = asked;
  const holderOf = createHolderOf(asked);
  const records: PendingRecord[] = [];
  let unsettled = 0;
  for (const entry of pending) {
    const { baseOffset, recordCount, states, attempts, due, idleMs } = entry;
    const attemptsAt = new Map(attempts.map((item) => [item.index, item.attempts]));
    const dueAt = new Map(due.map(({ index, inMs }) => [index, inMs]));
    for (let index = 0; index < recordCount; index++) {
      if (states !== "" && states[index] !== ".") continue;
      unsettled++;
      if (records.length >= recordsMax) continue;
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
    unsettledRecords: BigInt(unsettled),
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
