import { create } from "@bufbuild/protobuf";
import {
  type AdminServiceRedriveRequest,
  AdminServiceRedriveRequestSchema,
  type DeadLetterFilter,
  type DeadLetterPlace,
  JobState,
  RedriveAction,
} from "@gmq/protocol/messages";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { looseTextOf } from "../decode/decoders.js";
import { JobProgress } from "../jobs/job-progress.js";
import { RateField, useRate } from "../jobs/rate-field.js";
import { useStartedJob } from "../jobs/use-job.js";
import { Button } from "../parts/button.js";
import { CopyJob, quote } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { counted, formatCount } from "../parts/format.js";
import { ProblemNotice } from "../parts/notice.js";
import { TypedName } from "../parts/typed-name.js";
import { admin } from "../rpc.js";

interface RedriveDialogProps {
  readonly topic: string;
  readonly group: string;
  readonly action: RedriveAction;
  readonly filter: DeadLetterFilter;
  /** Only these; none: all that pass the filter. */
  readonly selected: readonly DeadLetterPlace[];
  readonly onClose: () => void;
}

/** A discard begins this much later, so that it can be taken back. */
const undoMs = 10_000;

/** Puts dead letters back into their topic, or away. It counts first; then it is a job, which goes on when the dialog is closed. */
export function RedriveDialog({ topic, group, action, filter, selected, onClose }: RedriveDialogProps): ReactNode {
  const [rate, setRate] = useRate();
  const [typed, setTyped] = useState("");
  const discards = action === RedriveAction.DISCARD;
  const request = create(AdminServiceRedriveRequestSchema, {
    topic,
    group,
    filter,
    selected: [...selected],
    action,
    ratePerSecond: rate.perSecond,
  });
  const counting = useMutation({
    mutationFn: async () => {
      for await (const { event } of admin.redrive({ ...request, dryRun: true })) {
        if (event.case === "progress" && event.value.done) return event.value;
      }
      throw new Error("the broker did not count to the end");
    },
  });
  const started = useStartedJob();
  const { job } = started;
  const work = {
    work: { case: "redrive", value: request },
    delayMs: discards ? undoMs : 0,
  } as const;
  const isCounted = counting.data !== undefined && job === undefined;
  const verb = discards ? "discard" : "redrive";

  return (
    <Dialog title={`${discards ? "Discard" : "Redrive"} dead letters of ${group}`} onClose={onClose}>
      <div className="flex flex-col gap-4 text-[13px]">
        <p>
          {selected.length > 0 ? counted(selected.length, "selected dead letter") : "All that pass the page's filter"}{" "}
          {discards
            ? "are settled and gone from the list. They stay in the dead-letter topic until its retention ends."
            : `go back to the end of their partition of ${topic}, each once. Every group of the topic gets them again.`}
        </p>
        {!discards && job === undefined && <RateField rate={rate} onChange={setRate} />}
        {isCounted && (
          <p role="status" className="tabular-nums">
            {formatCount(counting.data.moved)} of {formatCount(counting.data.matched)} would be{" "}
            {discards ? "discarded" : "redriven"}
            {counting.data.skipped > 0n &&
              `, ${formatCount(counting.data.skipped)} passed over: redriven too often before`}
          </p>
        )}
        {job !== undefined && <JobProgress job={job} notDone={started.notDone} />}
        {counting.error !== null && <ProblemNotice error={counting.error} />}
        {started.error !== null && <ProblemNotice error={started.error} />}
        {isCounted && discards && <TypedName name={group} value={typed} onChange={setTyped} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyJob request={work} gmq={`gmq dlq ${verb} ${quote(topic)} ${quote(group)}${flagsOf(request)}`} />
          {started.isActive && job !== undefined ? (
            <>
              <Button onClick={started.cancel}>{job.state === JobState.WAITING ? "Undo" : "Stop"}</Button>
              <Button onClick={onClose}>Go on in the background</Button>
            </>
          ) : (
            <Button onClick={onClose}>{job === undefined ? "Cancel" : "Close"}</Button>
          )}
          {!isCounted && job === undefined && (
            <Button disabled={counting.isPending || rate.problem !== undefined} onClick={() => counting.mutate()}>
              Count first
            </Button>
          )}
          {isCounted && (
            <Button
              look={discards ? "danger" : "primary"}
              disabled={
                counting.data.moved === 0n ||
                started.isActive ||
                rate.problem !== undefined ||
                (discards && typed !== group)
              }
              onClick={() => started.start(work)}
            >
              {discards ? "Discard" : "Redrive"} {formatCount(counting.data.moved)}
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

/** Filter, selection and rate as `gmq dlq` takes them. */
function flagsOf({ filter, selected, ratePerSecond }: AdminServiceRedriveRequest): string {
  const { reason, errorContains, key, partition, fromOffset, toOffset } = filter ?? {};
  const flags: [name: string, value: string | number | bigint | undefined][] = [
    ["reason", reason],
    ["error", errorContains],
    ["key", key === undefined ? undefined : looseTextOf(key)],
    ["partition", partition],
    ["from-offset", fromOffset],
    ["to-offset", toOffset],
    ["rate", ratePerSecond === 0 ? undefined : ratePerSecond],
    ...selected.map((place): [string, string] => ["select", `${place.partition}/${place.offset}`]),
  ];
  return flags.map(([name, value]) => (value === undefined ? "" : ` --${name} ${quote(String(value))}`)).join("");
}
