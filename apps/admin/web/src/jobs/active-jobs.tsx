import { JobState } from "@gmq/protocol/messages";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { useSecond } from "../parts/freshness.js";
import { ProblemNotice } from "../parts/notice.js";
import { portal } from "../rpc.js";
import { countsNow } from "./job-progress.js";

/** Jobs that wait or run on what a page shows, so that nobody is surprised by what changes under it. */
export function ActiveJobs({ topic, group }: { readonly topic?: string; readonly group?: string }): ReactNode {
  const { activeJobs, facts } = useLive();
  const now = useSecond();
  const cancel = useMutation({ mutationFn: (jobId: string) => portal.cancelJob({ jobId }) });
  const here = activeJobs.filter(
    (job) =>
      !job.dryRun && (topic === undefined || job.topic === topic) && (group === undefined || job.group === group),
  );
  if (here.length === 0) return null;
  return (
    <div className="flex flex-col gap-2">
      {here.map((job) => (
        <div
          key={job.jobId}
          className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 rounded-lg bg-accent-soft px-4 py-2.5 text-[13px]"
        >
          <span>
            <Link to="/jobs/$job" params={{ job: job.jobId }} className="font-medium text-accent underline">
              {job.title}
            </Link>{" "}
            <span className="tabular-nums">{countsNow(job, now)}</span>
          </span>
          {facts?.readOnly !== true && (
            <Button disabled={cancel.isPending} onClick={() => cancel.mutate(job.jobId)}>
              {job.state === JobState.WAITING ? "Undo" : "Stop"}
            </Button>
          )}
        </div>
      ))}
      {cancel.error !== null && <ProblemNotice error={cancel.error} />}
    </div>
  );
}
