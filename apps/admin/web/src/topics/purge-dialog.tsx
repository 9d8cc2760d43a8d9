import { create } from "@bufbuild/protobuf";
import {
  AdminServicePurgeTopicRequestSchema,
  JobState,
  type PurgedPartition,
  type TopicInfo,
} from "@gmq/protocol/messages";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { JobProgress } from "../jobs/job-progress.js";
import { useStartedJob } from "../jobs/use-job.js";
import { Button } from "../parts/button.js";
import { CopyJob, quote } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook } from "../parts/field.js";
import { counted, formatCount } from "../parts/format.js";
import { Empty, ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { TypedName } from "../parts/typed-name.js";
import { admin } from "../rpc.js";

/** Deletes the older records of a topic, after the broker has said which, and which groups lose some. */
export function PurgeDialog({
  topic,
  onClose,
}: {
  readonly topic: TopicInfo;
  readonly onClose: () => void;
}): ReactNode {
  const queries = useQueryClient();
  const [partition, setPartition] = useState("");
  const [offset, setOffset] = useState("");
  const [typed, setTyped] = useState("");
  const request = {
    topic: topic.name,
    toOffset: /^\d{1,18}$/.test(offset) ? BigInt(offset) : 0n,
    ...(partition === "" ? {} : { partition: Number(partition) }),
  };
  const preview = useMutation({ mutationFn: () => admin.purgeTopic({ ...request, dryRun: true }) });
  const started = useStartedJob();
  const { job } = started;
  const work = {
    work: { case: "purge", value: create(AdminServicePurgeTopicRequestSchema, request) },
  } as const;
  useEffect(() => {
    if (job?.state !== JobState.DONE) return;
    void queries.invalidateQueries({ queryKey: ["topic", topic.name] });
    if (job.failed > 0n) return;
    say(`Purged ${topic.name}`);
    onClose();
  }, [job, queries, topic.name, onClose]);
  const change = (set: (text: string) => void) => {
    return (text: string): void => {
      set(text);
      preview.reset();
    };
  };
  return (
    <Dialog title={`Purge ${topic.name}`} onClose={onClose} wide>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          preview.mutate();
        }}
      >
        <div className="flex flex-wrap gap-4">
          <Field label="First offset to keep" hint="Rounded down to a batch; the last batch always stays">
            {(ids) => (
              <input
                {...ids}
                required
                inputMode="numeric"
                pattern="[0-9]{1,18}"
                title="A whole number"
                className={inputLook("w-48")}
                value={offset}
                onChange={(event) => change(setOffset)(event.target.value)}
              />
            )}
          </Field>
          <Field label="Partition" hint="Empty: every one">
            {(ids) => (
              <input
                {...ids}
                type="number"
                min={0}
                max={Math.max(0, (topic.config?.partitions ?? 1) - 1)}
                className={inputLook("w-32")}
                value={partition}
                onChange={(event) => change(setPartition)(event.target.value)}
              />
            )}
          </Field>
        </div>
        <div>
          <Button type="submit" disabled={preview.isPending}>
            Show what it means
          </Button>
        </div>
        {preview.error !== null && <ProblemNotice error={preview.error} />}
      </form>
      {preview.data !== undefined && (
        <div className="mt-4 flex flex-col gap-4">
          <p role="status" className="text-[13px]">
            <span className="font-medium text-bad">{counted(removedOf(preview.data.partitions), "record")}</span> would
            be deleted for good.
          </p>
          <div className="overflow-hidden rounded-lg border border-line">
            <DataTable
              caption="What the purge means"
              columns={columns}
              rows={preview.data.partitions}
              rowKey={(row) => String(row.partition)}
              tall={preview.data.partitions.length > 12}
              empty={<Empty title="Nothing would be deleted" />}
            />
          </div>
          <TypedName name={topic.name} value={typed} onChange={setTyped} />
          {started.error !== null && <ProblemNotice error={started.error} />}
          {job !== undefined && <JobProgress job={job} notDone={started.notDone} />}
          <div className="flex flex-wrap justify-end gap-2">
            <CopyJob
              request={work}
              gmq={`gmq topics purge ${quote(topic.name)} --to-offset ${request.toOffset}${partition === "" ? "" : ` --partition ${partition}`}`}
            />
            <Button onClick={started.isActive ? started.cancel : onClose}>
              {started.isActive ? "Stop" : "Cancel"}
            </Button>
            <Button
              look="danger"
              disabled={typed !== topic.name || started.isActive}
              onClick={() => started.start(work)}
            >
              {started.isActive ? "Purging…" : "Purge"}
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

function removedOf(partitions: readonly PurgedPartition[]): bigint {
  return partitions.reduce((sum, { startBefore, startAfter }) => sum + startAfter - startBefore, 0n);
}

const columns: readonly Column<PurgedPartition>[] = [
  { id: "partition", header: "Partition", cell: ({ partition }) => partition },
  { id: "before", header: "First offset now", numeric: true, cell: ({ startBefore }) => formatCount(startBefore) },
  { id: "after", header: "Then", numeric: true, cell: ({ startAfter }) => formatCount(startAfter) },
  { id: "records", header: "Records", numeric: true, cell: (row) => formatCount(removedOf([row])) },
  {
    id: "losses",
    header: "Not settled by",
    grow: true,
    cell: ({ losses }) => losses.map(({ group, records }) => `${group}: ${formatCount(records)}`).join(", ") || "–",
  },
];
