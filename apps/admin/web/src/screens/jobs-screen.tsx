import { JobState, type PortalJob } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { countsNow, JobBadge } from "../jobs/job-progress.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { inputLook } from "../parts/field.js";
import { counted, formatAgo, formatDuration } from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Panel } from "../parts/panel.js";
import { portal } from "../rpc.js";

const route = getRouteApi("/jobs");
const refreshMs = 1_000;

/** Screen 9: every long act, what became of it, and where it can be stopped or gone on with. */
export function JobsScreen(): ReactNode {
  const { q = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const now = useSecond();
  const listed = useQuery({
    queryKey: ["jobs"],
    queryFn: ({ signal }) => portal.listJobs({}, { signal }),
    refetchInterval: refreshMs,
  });
  const wanted = q.toLowerCase();
  const jobs = (listed.data?.jobs ?? []).filter(({ title, actor }) =>
    `${title}\n${actor}`.toLowerCase().includes(wanted),
  );
  return (
    <>
      <PageHeader
        title="Jobs"
        note={
          listed.data === undefined
            ? undefined
            : listed.data.kept
              ? "kept on disk"
              : "gone when the portal ends (see --data)"
        }
      >
        <CopyAs curl={curlOf("PortalService/ListJobs", {})} />
      </PageHeader>
      <Panel
        title="Long acts"
        note={counted(jobs.length, "job")}
        actions={
          <input
            data-filter
            type="search"
            aria-label="Filter by what or who"
            placeholder="Filter by what or who  /"
            className={inputLook("w-full sm:w-72")}
            value={q}
            onChange={(event) =>
              void navigate({ search: { q: event.target.value }, replace: true, resetScroll: false })
            }
          />
        }
      >
        {listed.error !== null && (
          <div className="px-4 py-3">
            <ProblemNotice error={listed.error} />
          </div>
        )}
        {listed.isPending ? (
          <Loading what="jobs" />
        ) : (
          <DataTable
            caption="Jobs"
            columns={columns(now)}
            rows={jobs}
            rowKey={({ jobId }) => jobId}
            tall={jobs.length > 50}
            empty={
              <Empty title={q === "" ? "No job has run yet" : "No job is like that"}>
                Purges, resets, redrives, re-publishing, exports and files that are produced show up here.
              </Empty>
            }
          />
        )}
      </Panel>
    </>
  );
}

function columns(nowMs: number): readonly Column<PortalJob>[] {
  return [
    { id: "state", header: "State", cell: (job) => <JobBadge job={job} /> },
    {
      id: "title",
      header: "Job",
      grow: true,
      cell: ({ jobId, title }) => (
        <Link to="/jobs/$job" params={{ job: jobId }} className="font-medium text-accent" title={title}>
          {title}
        </Link>
      ),
    },
    {
      id: "counts",
      header: "Outcome",
      from: "sm",
      cell: (job) => <span className="whitespace-nowrap">{countsNow(job, nowMs)}</span>,
    },
    { id: "actor", header: "Who", from: "md", cell: ({ actor }) => <span className="text-muted">{actor}</span> },
    {
      id: "took",
      header: "Took",
      numeric: true,
      from: "md",
      cell: (job) => tookOf(job, nowMs),
    },
    {
      id: "created",
      header: "Asked",
      numeric: true,
      cell: ({ createdAtMs }) => <span className="text-muted">{formatAgo(createdAtMs, nowMs)}</span>,
    },
  ];
}

function tookOf({ state, startsAtMs, endedAtMs }: PortalJob, nowMs: number): string {
  if (state === JobState.WAITING || Number(startsAtMs) > Number(endedAtMs === 0n ? nowMs : endedAtMs)) return "–";
  return formatDuration(Number(endedAtMs === 0n ? nowMs : endedAtMs) - Number(startsAtMs));
}
