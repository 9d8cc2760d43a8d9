import { type JobOutcome, JobState, type PortalJob } from "@gmq/protocol/messages";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { actWords } from "../../../src/audit/act-words.js";
import { downloadFile, saveAs } from "../jobs/download-file.js";
import { exportOutcomes } from "../jobs/export-outcomes.js";
import { JobProgress } from "../jobs/job-progress.js";
import { isActive } from "../jobs/use-job.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { Select } from "../parts/field.js";
import { formatCount, formatTime } from "../parts/format.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Badge, Panel } from "../parts/panel.js";
import { say } from "../parts/toasts.js";
import { portal } from "../rpc.js";

const route = getRouteApi("/jobs/$job");
const refreshMs = 700;
const pageOutcomes = 200;

/** One job: how far it is, what became of each item, and what can still be done about it. */
export function JobScreen(): ReactNode {
  const { job: jobId } = route.useParams();
  const [outcome, setOutcome] = useState("");
  const looked = useInfiniteQuery({
    queryKey: ["job", jobId, outcome],
    queryFn: ({ pageParam, signal }) =>
      portal.getJob({ jobId, after: pageParam, limit: pageOutcomes, outcome }, { signal }),
    initialPageParam: 0,
    getNextPageParam: ({ more }, pages) => (more ? pages.length * pageOutcomes : undefined),
    refetchInterval: ({ state: { data, error } }) => {
      const known = data?.pages.at(-1)?.job;
      // One that there is not will not be there later.
      const isOver = known === undefined ? error !== null : !isActive(known);
      return isOver ? false : refreshMs;
    },
  });
  const job = looked.data?.pages.at(-1)?.job;
  const outcomes = looked.data?.pages.flatMap((page) => page.outcomes) ?? [];
  return (
    <>
      <PageHeader
        title={job?.title ?? "Job"}
        above={
          <Link to="/jobs" className="text-muted">
            Jobs
          </Link>
        }
      >
        <CopyAs curl={curlOf("PortalService/GetJob", { jobId })} />
        {job !== undefined && <JobActs job={job} onChanged={() => void looked.refetch()} />}
      </PageHeader>
      {looked.error !== null && <ProblemNotice error={looked.error} />}
      {job === undefined && looked.error === null && <Loading what="the job" />}
      {job !== undefined && (
        <div className="flex flex-col gap-5">
          <Panel title="How far it is" padded>
            <JobProgress job={job} notDone={[]} linked={false} />
            <dl className="m-0 mt-4 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-[13px]">
              <dt className="text-muted">Asked by</dt>
              <dd className="m-0 wrap-anywhere">{job.actor}</dd>
              <dt className="text-muted">Asked</dt>
              <dd className="m-0 tabular-nums">{formatTime(job.createdAtMs)}</dd>
              {job.endedAtMs > 0n && (
                <>
                  <dt className="text-muted">Ended</dt>
                  <dd className="m-0 tabular-nums">{formatTime(job.endedAtMs)}</dd>
                </>
              )}
              <dt className="text-muted">Audit</dt>
              <dd className="m-0">
                {job.dryRun ? (
                  "nothing was changed, so it is not there"
                ) : (
                  <Link to="/audit" search={{ q: job.action }} className="text-accent underline">
                    {actWords(job.action)}
                  </Link>
                )}
              </dd>
            </dl>
            {!isActive(job) && job.state !== JobState.DONE && job.notResumable !== "" && (
              <p className="mt-4 text-[13px] text-warn">It cannot be gone on with: {job.notResumable}.</p>
            )}
          </Panel>
          <Panel
            title="Outcome of each item"
            note={job.outcomesLeftOut > 0n ? `${formatCount(job.outcomesLeftOut)} more are only counted` : undefined}
            actions={<OutcomeActs job={job} outcome={outcome} onOutcome={setOutcome} />}
          >
            <DataTable
              caption="Outcomes"
              columns={columns}
              rows={outcomes}
              rowKey={(_outcome, index) => String(index)}
              tall={outcomes.length > 50}
              empty={<Empty title="Nothing to tell item by item">What was done is counted above.</Empty>}
            />
            {looked.hasNextPage && (
              <div className="border-t border-line px-4 py-2.5">
                <Button onClick={() => void looked.fetchNextPage()}>Show more</Button>
              </div>
            )}
          </Panel>
        </div>
      )}
    </>
  );
}

/** Which outcomes are listed, and the same as a file. */
function OutcomeActs({
  job,
  outcome,
  onOutcome,
}: {
  readonly job: PortalJob;
  readonly outcome: string;
  readonly onOutcome: (outcome: string) => void;
}): ReactNode {
  const exporting = useMutation({
    mutationFn: async (format: "csv" | "ndjson") =>
      saveAs(
        await exportOutcomes(job.jobId, outcome, format),
        `job-${job.jobId}-${outcome === "" ? "outcomes" : outcome}.${format}`,
      ),
    onSuccess: (_file, format) => say(`Exported the outcomes as ${format}`),
  });
  return (
    <div className="flex flex-wrap items-center gap-2">
      {exporting.error !== null && <ProblemNotice error={exporting.error} />}
      <Select
        aria-label="Which"
        options={[
          ["", "all"],
          ["done", "done"],
          ["skipped", "passed over"],
          ["failed", "failed"],
        ]}
        value={outcome}
        onChange={onOutcome}
      />
      {job.outcomes > 0n && (
        <>
          <Button disabled={exporting.isPending} onClick={() => exporting.mutate("csv")}>
            Export CSV
          </Button>
          <Button disabled={exporting.isPending} onClick={() => exporting.mutate("ndjson")}>
            Export NDJSON
          </Button>
        </>
      )}
    </div>
  );
}

function JobActs({ job, onChanged }: { readonly job: PortalJob; readonly onChanged: () => void }): ReactNode {
  const { facts } = useLive();
  const { jobId } = job;
  const act = useMutation({
    mutationFn: async (what: "cancel" | "resume" | "download") => {
      if (what === "cancel") await portal.cancelJob({ jobId });
      else if (what === "resume") await portal.resumeJob({ jobId });
      else await downloadFile(job);
    },
    onSuccess: (_done, what) => {
      if (what === "download") say(`Downloaded ${job.fileName}`);
    },
    onSettled: onChanged,
  });
  const active = isActive(job);
  const canResume = !active && job.state !== JobState.DONE && job.notResumable === "";
  const isReading = job.dryRun || job.fileName !== "";
  const mayAct = facts?.readOnly !== true || isReading;
  return (
    <>
      {act.error !== null && <ProblemNotice error={act.error} />}
      {active && mayAct && (
        <Button disabled={act.isPending} onClick={() => act.mutate("cancel")}>
          {job.state === JobState.WAITING ? "Undo" : "Cancel"}
        </Button>
      )}
      {canResume && mayAct && (
        <Button look="primary" disabled={act.isPending} onClick={() => act.mutate("resume")}>
          Resume
        </Button>
      )}
      {!active && job.fileBytes > 0n && (
        <Button look="primary" disabled={act.isPending} onClick={() => act.mutate("download")}>
          {job.state === JobState.DONE ? "Download" : "Download the part"}
        </Button>
      )}
    </>
  );
}

const columns: readonly Column<JobOutcome>[] = [
  {
    id: "outcome",
    header: "Outcome",
    cell: ({ outcome }) => (
      <Badge tone={outcome === "done" ? "good" : outcome === "failed" ? "bad" : "plain"}>
        {outcome === "skipped" ? "passed over" : outcome}
      </Badge>
    ),
  },
  {
    id: "item",
    header: "Item",
    cell: ({ item }) => <span className="font-mono text-xs whitespace-nowrap">{item}</span>,
  },
  { id: "detail", header: "Detail", grow: true, cell: ({ detail }) => <span title={detail}>{detail}</span> },
];
