import type { AdminServiceDescribeGroupResponse, GroupMember } from "@gmq/protocol/messages";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Column } from "../parts/data-table.js";
import { TopicLink } from "../parts/entity-links.js";
import { formatAgo, formatCount, formatDuration, formatRate } from "../parts/format.js";
import { MemberName, memberText } from "../parts/member-name.js";
import { Badge } from "../parts/panel.js";
import type { SharedHolders } from "./use-shared-holders.js";
import type { Trend } from "./use-trends.js";

/** One partition as the group stands to it. */
export interface PartitionRow {
  readonly topic: string;
  readonly partition: number;
  readonly owner: string;
  readonly nextOwner: string;
  /** Client id by member id. */
  readonly clients: ReadonlyMap<string, string>;
  /** Why nobody may own it for now: "paused" or "reset"; "" when anybody may. */
  readonly hold: string;
  readonly position: bigint;
  readonly endOffset: bigint;
  readonly unsettledRecords: bigint;
  readonly lagRecords: bigint;
  readonly lagMs: bigint;
}

/** How each member calls itself, by its id. */
export function clientsOf(members: readonly GroupMember[]): ReadonlyMap<string, string> {
  return new Map(members.map(({ memberId, clientId }) => [memberId, clientId]));
}

/** A group's partitions with who owns them. */
export function partitionRows({ group, partitions }: AdminServiceDescribeGroupResponse): PartitionRow[] {
  const clients = clientsOf(group?.members ?? []);
  const owners = new Map(group?.partitions.map((owned) => [`${owned.topic}/${owned.partition}`, owned]));
  return partitions.map((offsets) => {
    const owned = owners.get(`${offsets.topic}/${offsets.partition}`);
    return {
      ...offsets,
      owner: owned?.memberId ?? "",
      nextOwner: owned?.nextMemberId ?? "",
      clients,
      hold: owned?.hold ?? "",
    };
  });
}

/** Columns of a group's partitions; `explain` asks why one does not move on. A shared group's have no owner. */
export function partitionColumns(
  group: string,
  shared: boolean,
  explain: (row: PartitionRow) => void,
  trends: ReadonlyMap<string, Trend>,
): readonly Column<PartitionRow>[] {
  return [
    {
      id: "place",
      header: "Partition",
      sortBy: ({ topic, partition }) => `${topic}/${String(partition).padStart(5, "0")}`,
      cell: ({ topic, partition }) => (
        <span className="whitespace-nowrap">
          <TopicLink topic={topic} /> <span className="text-muted">/</span> {partition}
        </span>
      ),
    },
    {
      id: "lag",
      header: "Lag",
      numeric: true,
      sortBy: ({ lagRecords }) => lagRecords,
      cell: ({ lagRecords }) => formatCount(lagRecords),
    },
    {
      id: "age",
      header: "Oldest",
      numeric: true,
      from: "sm",
      sortBy: ({ lagMs }) => lagMs,
      cell: ({ lagMs }) => (lagMs === 0n ? "–" : formatDuration(lagMs)),
    },
    {
      id: "trend",
      header: "Trend",
      numeric: true,
      from: "md",
      sortBy: ({ topic, partition }) => trends.get(`${topic}/${partition}`)?.lagPerSecond ?? 0,
      cell: (row) => trendOf(trends.get(`${row.topic}/${row.partition}`)),
    },
    {
      id: "drain",
      header: "Drained in",
      numeric: true,
      from: "lg",
      cell: (row) => <span className="text-muted">{drainOf(row, trends.get(`${row.topic}/${row.partition}`))}</span>,
    },
    {
      id: "unsettled",
      header: "Handed out",
      numeric: true,
      sortBy: ({ unsettledRecords }) => unsettledRecords,
      cell: ({ topic, partition, unsettledRecords }) =>
        unsettledRecords === 0n ? (
          "0"
        ) : (
          <Link
            to="/groups/$group/pending/$topic/$partition"
            params={{ group, topic, partition: String(partition) }}
            className="text-accent"
          >
            {formatCount(unsettledRecords)}
            <span className="sr-only"> pending in partition {partition}</span>
          </Link>
        ),
    },
    { id: "position", header: "Position", numeric: true, from: "md", cell: ({ position }) => formatCount(position) },
    { id: "end", header: "End", numeric: true, from: "md", cell: ({ endOffset }) => formatCount(endOffset) },
    {
      id: "owner",
      header: "Owner",
      grow: true,
      from: "sm",
      sortBy: ({ owner }) => owner,
      cell: ({ owner, nextOwner, hold, clients }) => (
        <>
          {owner === "" ? (
            <span className="text-muted">{shared ? "shared" : "nobody"}</span>
          ) : (
            <MemberName id={owner} client={clients.get(owner) ?? ""} />
          )}
          {hold !== "" && (
            <span className="ml-2">
              <Badge tone="warn">{hold}</Badge>
            </span>
          )}
          {nextOwner !== "" && nextOwner !== "/held" && (
            <span className="ml-2 text-xs text-warn">
              passing to {memberText(nextOwner, clients.get(nextOwner) ?? "")}
            </span>
          )}
        </>
      ),
    },
    {
      id: "why",
      header: "Why",
      cell: (row) => (
        <button type="button" className="min-h-6 text-accent hover:underline" onClick={() => explain(row)}>
          why
          <span className="sr-only">
            {" "}
            is partition {row.partition} of {row.topic} where it is
          </span>
        </button>
      ),
    },
  ];
}

function trendOf(trend: Trend | undefined): ReactNode {
  if (trend === undefined) return <span className="text-muted">…</span>;
  const rounded = Math.round(trend.lagPerSecond * 10) / 10;
  if (rounded === 0) return <span className="text-muted">steady</span>;
  return (
    <span
      className={rounded > 0 ? "text-warn" : "text-good"}
    >{`${rounded > 0 ? "+" : "−"}${formatRate(Math.abs(rounded))}/s`}</span>
  );
}

/** At the present pace. */
function drainOf({ lagRecords }: PartitionRow, trend: Trend | undefined): string {
  if (lagRecords === 0n || trend === undefined) return "–";
  if (trend.lagPerSecond >= -0.05) return trend.lagPerSecond > 0.05 ? "grows" : "stands";
  return formatDuration((Number(lagRecords) * 1_000) / -trend.lagPerSecond);
}

/** Columns of a group's members. What lies in partitions is told of those who own some. */
export function memberColumns(
  rows: readonly PartitionRow[],
  shared: boolean,
  holders: SharedHolders | undefined,
  nowMs: number,
): readonly Column<GroupMember>[] {
  const ownedBy = (memberId: string): readonly PartitionRow[] => rows.filter(({ owner }) => owner === memberId);
  const sum = (memberId: string, of: (row: PartitionRow) => bigint): string =>
    shared ? "–" : formatCount(ownedBy(memberId).reduce((total, row) => total + of(row), 0n));
  return [
    {
      id: "member",
      header: "Member",
      grow: true,
      cell: ({ memberId, staticMember }) => (
        <>
          <span className="font-mono text-xs">{memberId}</span> {staticMember && <Badge>static</Badge>}
        </>
      ),
    },
    {
      id: "client",
      header: "Client",
      from: "sm",
      cell: ({ clientId }) => <span className="whitespace-nowrap">{clientId}</span>,
    },
    {
      id: "version",
      header: "Version",
      from: "md",
      cell: ({ clientVersion }) => <span className="whitespace-nowrap text-muted">{clientVersion}</span>,
    },
    {
      id: "broker",
      header: "Broker",
      from: "lg",
      cell: ({ brokerId }) => <span className="whitespace-nowrap text-muted">{brokerId}</span>,
    },
    {
      id: "owned",
      header: "Partitions",
      numeric: true,
      cell: ({ memberId }) => <span title={placesOf(ownedBy(memberId))}>{sum(memberId, () => 1n)}</span>,
    },
    {
      id: "held",
      header: "In flight",
      numeric: true,
      from: "sm",
      cell: ({ memberId }) =>
        shared ? heldText(holders, memberId) : sum(memberId, ({ unsettledRecords }) => unsettledRecords),
    },
    { id: "lag", header: "Lag", numeric: true, cell: ({ memberId }) => sum(memberId, ({ lagRecords }) => lagRecords) },
    {
      id: "timeout",
      header: "Session",
      numeric: true,
      from: "lg",
      cell: ({ sessionTimeoutMs }) => formatDuration(sessionTimeoutMs),
    },
    {
      id: "heartbeat",
      header: "Heartbeat",
      numeric: true,
      from: "sm",
      cell: ({ heartbeatAgeMs, sessionTimeoutMs }) =>
        heartbeatAgeMs === undefined ? (
          "–"
        ) : (
          <span className={`whitespace-nowrap ${heartbeatAgeMs * 2 > sessionTimeoutMs ? "text-warn" : "text-muted"}`}>
            {`${formatDuration(heartbeatAgeMs)} ago`}
          </span>
        ),
    },
    {
      id: "joined",
      header: "Joined",
      numeric: true,
      from: "sm",
      cell: ({ joinedAtMs }) => <span className="text-muted">{formatAgo(joinedAtMs, nowMs)}</span>,
    },
  ];
}

/** Of a shared group. */
function heldText(holders: SharedHolders | undefined, memberId: string): string {
  if (holders === undefined) return "…";
  return `${formatCount(holders.counts.get(memberId) ?? 0)}${holders.isPart ? " or more" : ""}`;
}

function placesOf(rows: readonly PartitionRow[]): string {
  return rows.map(({ topic, partition }) => `${topic}/${partition}`).join(", ");
}
