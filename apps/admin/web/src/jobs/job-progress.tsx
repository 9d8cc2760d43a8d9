import { JobState, type PortalJob, type PortalServiceGetJobResponse } from "@gmq/protocol/messages";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { counted, formatBytes, formatCount, formatDuration } from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { ProblemNotice } from "../parts/notice.js";
import { Badge } from "../parts/panel.js";
import { ScrollBox } from "../parts/scroll-box.js";

const stateWords: Readonly<
  Record<JobState, readonly [word: string, tone: "plain" | "good" | "warn" | "bad" | "accent"]>
> = {
  [JobState.UNSPECIFIED]: ["unknown", "plain"],
  [JobState.WAITING]: ["waiting", "accent"],
  [JobState.RUNNING]: ["running", "accent"],
  [JobState.DONE]: ["done", "good"],
  [JobState.FAILED]: ["failed", "bad"],
  [JobState.CANCELLED]: ["cancelled", "warn"],
  [JobState.INTERRUPTED]: ["interrupted", "warn"],
};

/** A job's state in a word; done with failures is not green. */
export function JobBadge({ job }: { readonly job: PortalJob }): ReactNode {
  const [word, tone] = stateWords[job.state];
  if (job.state === JobState.DONE && job.failed > 0n) return <Badge tone="warn">done, not all</Badge>;
  return <Badge tone={tone}>{word}</Badge>;
}

/** "12 done, 1 passed over, 2 failed". */
export function countsOf({ done, skipped, failed, action, title }: PortalJob): string {
  const word = wordOf(action, title);
  return [
    `${formatCount(done)} ${word}`,
    ...(skipped > 0n ? [`${formatCount(skipped)} passed over`] : []),
    ...(failed > 0n ? [`${formatCount(failed)} failed`] : []),
  ].join(", ");
}

function wordOf(action: string, title: string): string {
  if (action === "Redrive") return title.startsWith("Discard") ? "discarded" : "redriven";
  if (action === "Republish") return title.startsWith("Count") ? "counted" : "re-published";
  if (action === "ProduceLines") return "stored";
  if (action === "ExportRecords") return "written";
  return "done";
}

/** What there is to say of a job in a list: counts, or when it begins. */
export function countsNow(job: PortalJob, nowMs: number): string {
  if (job.state === JobState.WAITING) return `begins in ${formatDuration(Math.max(0, Number(job.startsAtMs) - nowMs))}`;
  if (job.state === JobState.RUNNING && job.total > 0n) return `${countsOf(job)} of ${formatCount(job.total)}`;
  return countsOf(job);
}

/** How far a job is, what went wrong, and where to find it later. */
export function JobProgress({
  job,
  notDone,
  linked = true,
}: {
  readonly job: PortalJob;
  readonly notDone: PortalServiceGetJobResponse["outcomes"];
  readonly linked?: boolean;
}): ReactNode {
  const now = useSecond();
  const settled = job.done + job.skipped + job.failed;
  return (
    <div className="flex flex-col gap-2 text-[13px]">
      {job.state === JobState.RUNNING && (
        <progress
          aria-label="Progress"
          className="w-full"
          {...(job.total >= 0n ? { max: Math.max(1, Number(job.total)), value: Number(settled) } : {})}
        />
      )}
      <p role="status" className="flex flex-wrap items-center gap-2 tabular-nums">
        <JobBadge job={job} />
        {job.state === JobState.WAITING ? (
          <span>
            begins in {formatDuration(Math.max(0, Number(job.startsAtMs) - now))}: until then nothing is changed
          </span>
        ) : (
          <span>
            {countsOf(job)}
            {job.total >= 0n && job.state === JobState.RUNNING && ` of ${formatCount(job.total)}`}
          </span>
        )}
        {job.scanned > 0n && <span className="text-muted">{formatCount(job.scanned)} scanned</span>}
        {job.fileBytes > 0n && <span className="text-muted">{formatBytes(job.fileBytes)}</span>}
        {linked && (
          <Link to="/jobs/$job" params={{ job: job.jobId }} className="text-accent underline">
            open the job
          </Link>
        )}
      </p>
      {job.unevaluated > 0n && (
        <p className="text-warn">
          {counted(job.unevaluated, "record")} without what the expression asks for: they do not match.
        </p>
      )}
      {job.error !== undefined && <ProblemNotice error={job.error} />}
      {notDone.length > 0 && (
        <ScrollBox label="What was not done" className="max-h-40">
          <ul className="m-0 list-none p-0 text-xs">
            {notDone.map(({ item, outcome, detail }) => (
              <li key={item} className={`wrap-anywhere ${outcome === "failed" ? "text-bad" : "text-muted"}`}>
                <span className="font-mono">{item}</span>: {detail}
              </li>
            ))}
          </ul>
        </ScrollBox>
      )}
    </div>
  );
}
