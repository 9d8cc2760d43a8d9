/** From what brokers answer to the rows that pages show. */
import { create } from "@bufbuild/protobuf";
import {
  type AdminServiceDescribeGroupResponse,
  type AdminServiceDescribeTopicResponse,
  MemberKind,
  type PortalBroker,
  PortalBrokerSchema,
  type PortalGroup,
  PortalGroupSchema,
  type PortalTopic,
  PortalTopicSchema,
} from "@gmq/protocol/messages";
import type { BrokerAnswer } from "../calls/brokers.js";
import type { Rates } from "./rates.js";

export function brokerRow(answer: BrokerAnswer, atMs: number, rates: Rates): PortalBroker {
  if ("problem" in answer) return create(PortalBrokerSchema, { url: answer.url, problem: answer.problem });
  const { $typeName, $unknown, publishedBytes, deliveredRecords, deliveredBytes, ...status } = answer.status;
  // A broker that started anew counts from zero: no rate until what it had before is forgotten.
  const rate = (name: string, value: bigint): number =>
    rounded(Math.max(0, rates.note(`${name} ${answer.url}`, value, atMs)));
  return create(PortalBrokerSchema, {
    url: answer.url,
    ...status,
    publishedBytesPerSecond: rate("published bytes", publishedBytes),
    deliveredPerSecond: rate("delivered", deliveredRecords),
    deliveredBytesPerSecond: rate("delivered bytes", deliveredBytes),
  });
}

export function topicRow(
  { topic, partitions }: AdminServiceDescribeTopicResponse,
  atMs: number,
  rates: Rates,
): PortalTopic {
  const name = topic?.name ?? "";
  const end = partitions.reduce((sum, { endOffset }) => sum + endOffset, 0n);
  return create(PortalTopicSchema, {
    name,
    partitions: partitions.length,
    records: partitions.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0n),
    entries: partitions.reduce((sum, { entries }) => sum + entries, 0n),
    lastAppendMs: partitions.reduce((last, { lastAppendMs }) => (lastAppendMs > last ? lastAppendMs : last), 0n),
    bytes: partitions.reduce((sum, { bytes }) => sum + bytes, 0n),
    firstAppendMs: oldestOf(partitions),
    recordsPerSecond: rounded(rates.note(`topic ${name}`, end, atMs)),
    sampledAtMs: BigInt(atMs),
    createdAtMs: topic?.createdAtMs ?? 0n,
  });
}

export function groupRow(
  { group, partitions }: AdminServiceDescribeGroupResponse,
  atMs: number,
  rates: Rates,
): PortalGroup {
  const name = group?.group ?? "";
  const lag = partitions.reduce((sum, { lagRecords }) => sum + lagRecords, 0n);
  // End minus lag: what the group is done with, and it never falls.
  const settled = partitions.reduce((sum, { endOffset, lagRecords }) => sum + endOffset - lagRecords, 0n);
  return create(PortalGroupSchema, {
    name,
    members: group?.members.filter(({ kind }) => kind !== MemberKind.DESK).length ?? 0,
    shared: group?.members.some(({ kind }) => kind !== MemberKind.UNSPECIFIED) ?? false,
    paused: isPaused(group?.partitions ?? []),
    topics: [...new Set(group?.partitions.map(({ topic }) => topic))].sort(),
    partitions: partitions.length,
    lagRecords: lag,
    lagMs: partitions.reduce((most, { lagMs }) => (lagMs > most ? lagMs : most), 0n),
    unsettledRecords: partitions.reduce((sum, { unsettledRecords }) => sum + unsettledRecords, 0n),
    lostRecords: partitions.reduce((sum, { lostRecords }) => sum + lostRecords, 0n),
    settledPerSecond: rounded(Math.max(0, rates.note(`group ${name}`, settled, atMs))),
    lagGrowthPerSecond: rounded(rates.note(`lag ${name}`, lag, atMs)),
    sampledAtMs: BigInt(atMs),
  });
}

function isPaused(partitions: readonly { readonly hold: string }[]): boolean {
  return partitions.length > 0 && partitions.every(({ hold }) => hold === "paused");
}

/** The row before, when nothing but the time of the look differs: what is the same need not be sent. */
export function unchangedOr<Row extends object>(before: Row | undefined, now: Row): Row {
  if (before === undefined) return now;
  const same = Object.entries(now).every(
    ([field, value]) => field === "sampledAtMs" || String(value) === String((before as Record<string, unknown>)[field]),
  );
  return same ? before : now;
}

/** Append time of the oldest record of all partitions; those that are empty have none. */
function oldestOf(partitions: AdminServiceDescribeTopicResponse["partitions"]): bigint {
  const times = partitions.map(({ firstAppendMs }) => firstAppendMs).filter((atMs) => atMs > 0n);
  return times.reduce((oldest, atMs) => (atMs < oldest ? atMs : oldest), times[0] ?? 0n);
}

function rounded(perSecond: number): number {
  return Math.round(perSecond * 10) / 10;
}
