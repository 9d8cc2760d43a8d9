import { MemberKind } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { useMay } from "../access/access-store.js";
import { ExplainDialog } from "../groups/explain-dialog.js";
import { memberColumns, type PartitionRow, partitionColumns, partitionRows } from "../groups/group-tables.js";
import { PauseButton } from "../groups/pause-button.js";
import { ResetDialog } from "../groups/reset-dialog.js";
import { TimelinePanel } from "../groups/timeline-panel.js";
import { useSharedHolders } from "../groups/use-shared-holders.js";
import { useTrends } from "../groups/use-trends.js";
import { ActiveJobs } from "../jobs/active-jobs.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { DataTable } from "../parts/data-table.js";
import { counted, formatAgo, formatCount, formatDuration, formatRate, formatShort } from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { NotThere, orNotThere } from "../parts/not-there.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Figure, Panel } from "../parts/panel.js";
import { say } from "../parts/toasts.js";
import { TypedConfirm } from "../parts/typed-confirm.js";
import { admin } from "../rpc.js";
import { timeToDrain } from "./groups-screen.js";

const route = getRouteApi("/groups/$group");
const refreshMs = 2_000;

/** Screen 6: how far a group is behind, in which partition, and who works on it. */
export function GroupScreen(): ReactNode {
  const { group } = route.useParams();
  const search = route.useSearch();
  const navigate = useNavigate();
  const live = useLive();
  const mayDelete = useMay("admin");
  const now = useSecond();
  const [open, setOpen] = useState<"delete" | "reset">();
  const [explained, setExplained] = useState<PartitionRow>();
  const described = useQuery({
    queryKey: ["group", group],
    queryFn: ({ signal }) => orNotThere(admin.describeGroup({ group, heartbeats: true }, { signal })),
    refetchInterval: refreshMs,
  });
  const { error } = described;
  const data = described.data ?? undefined;
  const row = live.groups.get(group);
  const all = data?.group?.members ?? [];
  // Desks are the brokers' own.
  const members = all.filter(({ kind }) => kind !== MemberKind.DESK);
  const shared = all.some(({ kind }) => kind !== MemberKind.UNSPECIFIED);
  const rows = data === undefined ? [] : partitionRows(data);
  const trends = useTrends(rows, described.dataUpdatedAt);
  const holders = useSharedHolders(group, shared, rows);
  const topics = [...new Set(rows.map(({ topic }) => topic))];
  const paused = rows.length > 0 && rows.every(({ hold }) => hold === "paused");
  const lag = rows.reduce((sum, { lagRecords }) => sum + lagRecords, 0n);
  const handedOut = rows.reduce((sum, { unsettledRecords }) => sum + unsettledRecords, 0n);
  const lost = (data?.partitions ?? []).reduce((sum, { lostRecords }) => sum + lostRecords, 0n);
  const oldestMs = rows.reduce((most, { lagMs }) => (lagMs > most ? lagMs : most), 0n);
  if (described.data === null) return <NotThere title={`There is no group ${group}`} to="/groups" all="All groups" />;

  return (
    <>
      <PageHeader
        title={group}
        above={
          <Link to="/groups" className="text-muted">
            Groups
          </Link>
        }
      >
        <CopyAs
          gmq={`gmq groups describe ${quote(group)} --broker ${live.facts?.brokerUrl ?? ""}`}
          curl={curlOf("AdminService/DescribeGroup", { group, heartbeats: true })}
        />
        {live.facts?.readOnly !== true && data !== undefined && (
          <>
            <PauseButton group={group} paused={paused} />
            {topics.length > 0 && <Button onClick={() => setOpen("reset")}>Reset offsets…</Button>}
            {mayDelete && <Button onClick={() => setOpen("delete")}>Delete…</Button>}
          </>
        )}
      </PageHeader>
      <div className="flex flex-col gap-5">
        <ActiveJobs group={group} />
        {error !== null && <ProblemNotice error={error} />}
        {data === undefined && error === null && <Loading what="the group" />}
        {data !== undefined && (
          <>
            {paused && (
              <p role="status" className="rounded-lg bg-warn-soft px-4 py-2.5 text-[13px] font-medium text-warn">
                The group is paused: nothing is delivered until it is resumed.
              </p>
            )}
            {lost > 0n && (
              <p role="status" className="rounded-lg bg-bad-soft px-4 py-2.5 text-[13px] font-medium text-bad">
                {counted(lost, "record")} were trimmed before the group had settled them.
              </p>
            )}
            <section
              aria-label="Figures"
              className="grid grid-cols-2 overflow-hidden rounded-xl border border-line bg-panel sm:grid-cols-5"
            >
              <Figure
                name="Lag"
                value={formatShort(lag)}
                detail={lag === 0n ? "nothing waits" : `${formatCount(handedOut)} handed out`}
              />
              <Figure
                name="Oldest"
                value={oldestMs === 0n ? "–" : formatDuration(oldestMs)}
                detail="since it was appended"
              />
              <Figure name="Settled" value={formatRate(row?.settledPerSecond ?? 0)} detail="records per second" />
              <Figure
                name="Time to drain"
                value={row === undefined ? "–" : timeToDrain(row)}
                detail="at the present pace"
              />
              <Figure
                name="Members"
                value={members.length}
                detail={members.length === 0 && lag > 0n ? "nobody works on the lag" : ""}
                tone={members.length === 0 && lag > 0n ? "warn" : "plain"}
              />
            </section>
            <Panel
              title="Partitions"
              note={`${formatCount(rows.length)} · as of ${formatAgo(described.dataUpdatedAt, now)}`}
            >
              <DataTable
                caption={`Partitions of ${group}`}
                columns={partitionColumns(group, shared, setExplained, trends)}
                rows={rows}
                rowKey={({ topic, partition }) => `${topic}/${partition}`}
                sort={search.sort ?? "place"}
                onSort={(sort) =>
                  void navigate({ to: "/groups/$group", params: { group }, search: { sort }, replace: true })
                }
                tall={rows.length > 50}
                empty={<Empty title="The group has read nothing yet" />}
              />
            </Panel>
            <Panel
              title="Members"
              note={`${counted(members.length, "member")}${shared ? ", which share every partition" : ""}`}
            >
              <DataTable
                caption={`Members of ${group}`}
                columns={memberColumns(rows, shared, holders, now)}
                rows={members}
                rowKey={({ memberId }) => memberId}
                empty={<Empty title="Nobody consumes in this group">Its place in each partition is kept.</Empty>}
              />
            </Panel>
            <TimelinePanel group={group} members={members} nowMs={now} />
          </>
        )}
      </div>
      {open === "reset" && <ResetDialog group={group} topics={topics} onClose={() => setOpen(undefined)} />}
      {explained !== undefined && (
        <ExplainDialog
          group={group}
          topic={explained.topic}
          partition={explained.partition}
          onClose={() => setExplained(undefined)}
        />
      )}
      {open === "delete" && (
        <TypedConfirm
          title={`Delete group ${group}`}
          name={group}
          act="Delete the group"
          commands={{ gmq: `gmq groups delete ${quote(group)}`, curl: curlOf("AdminService/DeleteGroup", { group }) }}
          run={() => admin.deleteGroup({ group })}
          onClose={() => setOpen(undefined)}
          onDone={() => {
            say(`Deleted group ${group}`);
            void navigate({ to: "/groups" });
          }}
        >
          <p>
            Its place in {counted(rows.length, "partition")} and {counted(lag, "record")} not settled are forgotten: the
            next consumer of this name begins anew. No record is deleted.
          </p>
          {members.length > 0 && (
            <p className="mt-2 font-medium text-warn">
              The broker refuses it while {counted(members.length, "member consumes", "members consume")}.
            </p>
          )}
        </TypedConfirm>
      )}
    </>
  );
}
