import type { PortalGroup } from "@gmq/protocol/messages";
import { getRouteApi } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useLive } from "../live/live-store.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { GroupLink } from "../parts/entity-links.js";
import { inputLook, Select } from "../parts/field.js";
import { counted, formatCount, formatDuration, formatRate } from "../parts/format.js";
import { Empty, Loading } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Badge, Panel } from "../parts/panel.js";

const route = getRouteApi("/groups");

type Only = "all" | "behind" | "memberless" | "unattended" | "paused";
const onlyOptions: readonly (readonly [Only, string])[] = [
  ["all", "all groups"],
  ["behind", "behind"],
  ["memberless", "without members"],
  ["unattended", "behind without members"],
  ["paused", "paused"],
];

const passes: Readonly<Record<Only, (group: PortalGroup) => boolean>> = {
  all: () => true,
  behind: ({ lagRecords }) => lagRecords > 0n,
  memberless: ({ members }) => members === 0,
  unattended: ({ members, lagRecords }) => members === 0 && lagRecords > 0n,
  paused: ({ paused }) => paused,
};

/** Every group with its lag. */
export function GroupsScreen(): ReactNode {
  const live = useLive();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const only = onlyOptions.find(([name]) => name === search.only)?.[0] ?? "all";
  const wanted = (search.q ?? "").toLowerCase();
  const all = [...live.groups.values()];
  const rows = all.filter(
    (group) => [group.name, ...group.topics].some((text) => text.toLowerCase().includes(wanted)) && passes[only](group),
  );
  return (
    <>
      <PageHeader title="Groups" note={live.loaded ? counted(rows.length, "group") : undefined}>
        <CopyAs
          gmq={`gmq groups list --broker ${live.facts?.brokerUrl ?? ""}`}
          curl={curlOf("AdminService/ListGroups", {})}
        />
      </PageHeader>
      <Panel
        title="Consumer groups"
        actions={
          <div className="flex w-full flex-wrap gap-2 sm:w-auto sm:flex-nowrap">
            <Select
              aria-label="Which groups"
              options={onlyOptions}
              value={only}
              onChange={(value) =>
                void navigate({ search: { ...search, only: value === "all" ? undefined : value }, replace: true })
              }
            />
            <input
              data-filter
              type="search"
              aria-label="Filter groups by name or topic"
              placeholder="Filter by group or topic  /"
              className={inputLook("w-full sm:w-64")}
              value={search.q ?? ""}
              onChange={(event) =>
                void navigate({ search: { ...search, q: event.target.value }, replace: true, resetScroll: false })
              }
            />
          </div>
        }
      >
        {live.loaded ? (
          <DataTable
            caption="Groups"
            columns={columns}
            rows={rows}
            rowKey={({ name }) => name}
            sort={search.sort ?? "name"}
            onSort={(sort) => void navigate({ search: { ...search, sort }, replace: true })}
            tall
            empty={
              all.length === 0 ? (
                <Empty title="There are no groups yet">A group is made by its first consumer.</Empty>
              ) : (
                <Empty title="No group is like that">{counted(all.length, "group")} are hidden by the filter.</Empty>
              )
            }
          />
        ) : (
          <Loading what="groups" />
        )}
      </Panel>
    </>
  );
}

const columns: readonly Column<PortalGroup>[] = [
  {
    id: "name",
    header: "Group",
    grow: true,
    sortBy: ({ name }) => name,
    cell: ({ name, paused, shared }) => (
      <>
        <GroupLink group={name} />
        <span className="ml-2 inline-flex gap-1">
          {paused && <Badge tone="warn">paused</Badge>}
          {shared && <Badge>shared</Badge>}
        </span>
      </>
    ),
  },
  {
    id: "members",
    header: "Members",
    numeric: true,
    sortBy: ({ members }) => members,
    cell: ({ members }) => (members === 0 ? <Badge tone="warn">none</Badge> : formatCount(members)),
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
    id: "unsettled",
    header: "Handed out",
    numeric: true,
    from: "md",
    sortBy: ({ unsettledRecords }) => unsettledRecords,
    cell: ({ unsettledRecords }) => formatCount(unsettledRecords),
  },
  {
    id: "settled",
    header: "Settled/s",
    numeric: true,
    from: "sm",
    sortBy: ({ settledPerSecond }) => settledPerSecond,
    cell: ({ settledPerSecond }) => formatRate(settledPerSecond),
  },
  {
    id: "drain",
    header: "Time to drain",
    numeric: true,
    from: "md",
    cell: (group) => <span className="text-muted">{timeToDrain(group)}</span>,
  },
  {
    id: "topics",
    header: "Topics",
    from: "lg",
    cell: ({ topics }) => (
      <span className="text-muted">
        {topics.slice(0, 2).join(", ") + (topics.length > 2 ? `, +${topics.length - 2}` : "")}
      </span>
    ),
  },
];

/** At the present pace; nothing to say while the lag does not fall. */
export function timeToDrain({ lagRecords, lagGrowthPerSecond, paused }: PortalGroup): string {
  if (lagRecords === 0n) return "–";
  if (paused) return "paused";
  if (lagGrowthPerSecond >= 0) return lagGrowthPerSecond > 0 ? "grows" : "stands";
  return formatDuration((Number(lagRecords) * 1_000) / -lagGrowthPerSecond);
}
