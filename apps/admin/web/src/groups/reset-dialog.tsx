import { create } from "@bufbuild/protobuf";
import {
  AdminServiceResetGroupRequestSchema,
  type AdminServiceResetGroupResponse,
  type GroupMove,
  JobState,
  type StartPosition,
} from "@gmq/protocol/messages";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { useStartedJob } from "../jobs/use-job.js";
import { Button } from "../parts/button.js";
import { CopyJob, quote } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook, Select } from "../parts/field.js";
import { counted, formatCount } from "../parts/format.js";
import { Empty, ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { TypedName } from "../parts/typed-name.js";
import { admin, problemOf } from "../rpc.js";

interface ResetDialogProps {
  readonly group: string;
  readonly topics: readonly string[];
  readonly onClose: () => void;
}

type Target = "earliest" | "latest" | "offset" | "time";

const targets: readonly (readonly [Target, string])[] = [
  ["earliest", "the first record kept"],
  ["latest", "the end"],
  ["offset", "an offset"],
  ["time", "a time"],
];

/**
 * Resets a group's offsets in a topic. First it is only asked what that would mean; the reset is made for the version of the group that answered, so
 * that it is refused when members or owners changed meanwhile.
 */
export function ResetDialog({ group, topics, onClose }: ResetDialogProps): ReactNode {
  const [topic, setTopic] = useState(topics[0] ?? "");
  const [target, setTarget] = useState<Target>("earliest");
  const [at, setAt] = useState("");
  const [typed, setTyped] = useState("");
  const position = positionOf(target, at);
  const request = { group, topic, ...(position === undefined ? {} : { to: { position } }) };
  const preview = useMutation({ mutationFn: () => admin.resetGroup({ ...request, dryRun: true }) });
  const started = useStartedJob();
  const { job } = started;
  const workFor = (expectedVersion: bigint) =>
    ({
      work: { case: "reset", value: create(AdminServiceResetGroupRequestSchema, { ...request, expectedVersion }) },
    }) as const;
  useEffect(() => {
    if (job?.state !== JobState.DONE) return;
    say(`Moved ${group} in ${counted(job.done, "partition")}`);
    onClose();
  }, [job, group, onClose]);
  // What is shown belongs to what was asked: another target needs another preview.
  const change = <Value,>(set: (value: Value) => void) => {
    return (value: Value): void => {
      set(value);
      preview.reset();
      started.reset();
    };
  };
  const skipped = sum(preview.data, ({ skippedRecords }) => skippedRecords);
  const failure = started.error ?? job?.error;
  const isConflict = failure !== undefined && problemOf(failure).code === "conflict";

  return (
    <Dialog title={`Reset offsets of ${group}`} onClose={onClose} wide>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          started.reset();
          preview.mutate();
        }}
      >
        <div className="flex flex-wrap items-start gap-4">
          {topics.length > 1 && (
            <Field label="Topic">
              {(ids) => (
                <Select
                  {...ids}
                  options={topics.map((name) => [name, name] as const)}
                  value={topic}
                  onChange={change(setTopic)}
                />
              )}
            </Field>
          )}
          <Field label="To">
            {(ids) => <Select<Target> {...ids} options={targets} value={target} onChange={change(setTarget)} />}
          </Field>
          {target === "offset" && (
            <Field label="Offset" hint="In every partition">
              {(ids) => (
                <input
                  {...ids}
                  required
                  inputMode="numeric"
                  pattern="[0-9]{1,19}"
                  title="A whole number"
                  className={inputLook("w-40")}
                  value={at}
                  onChange={(event) => change(setAt)(event.target.value)}
                />
              )}
            </Field>
          )}
          {target === "time" && (
            <Field label="Time" hint="The first record appended then or later">
              {(ids) => (
                <input
                  {...ids}
                  required
                  type="datetime-local"
                  step="1"
                  className={inputLook("w-56")}
                  value={at}
                  onChange={(event) => change(setAt)(event.target.value)}
                />
              )}
            </Field>
          )}
        </div>
        <div>
          <Button type="submit" disabled={preview.isPending || position === undefined}>
            {preview.isPending ? "Asking…" : preview.data === undefined ? "Show what it means" : "Ask again"}
          </Button>
        </div>
        {preview.error !== null && <ProblemNotice error={preview.error} />}
      </form>
      {preview.data !== undefined && (
        <div className="mt-4 flex flex-col gap-4">
          <p role="status" className="text-[13px]">
            <span className="font-medium">
              {counted(
                sum(preview.data, ({ rereadRecords }) => rereadRecords),
                "record",
              )}
            </span>{" "}
            would be delivered again,{" "}
            <span className={skipped > 0n ? "font-medium text-bad" : "font-medium"}>{formatCount(skipped)}</span> would
            never be delivered.
          </p>
          <div className="overflow-hidden rounded-lg border border-line">
            <DataTable
              caption="What the reset means"
              columns={columns}
              rows={preview.data.partitions}
              rowKey={({ partition }) => String(partition)}
              tall={preview.data.partitions.length > 12}
              empty={<Empty title="Nothing would move" />}
            />
          </div>
          {skipped > 0n && <TypedName name={group} hint="Records would be skipped" value={typed} onChange={setTyped} />}
          {failure !== undefined && <ProblemNotice error={failure} />}
          <div className="flex flex-wrap justify-end gap-2">
            <CopyJob
              request={workFor(preview.data.version)}
              gmq={`gmq groups reset ${quote(group)} --topic ${quote(topic)} --to ${placeOf(target, at)} --execute`}
            />
            <Button onClick={onClose}>Cancel</Button>
            <Button
              look="danger"
              disabled={started.isActive || isConflict || (skipped > 0n && typed !== group)}
              onClick={() => preview.data !== undefined && started.start(workFor(preview.data.version))}
            >
              {started.isActive ? "Resetting…" : "Reset the offsets"}
            </Button>
          </div>
        </div>
      )}
    </Dialog>
  );
}

/** The place as `gmq` takes it. */
function placeOf(target: Target, at: string): string {
  if (target === "earliest" || target === "latest") return target;
  return target === "offset" || Number.isNaN(new Date(at).getTime()) ? at : new Date(at).toISOString();
}

function positionOf(target: Target, at: string): StartPosition["position"] | undefined {
  if (target === "earliest") return { case: "earliest", value: true };
  if (target === "latest") return { case: "latest", value: true };
  if (target === "offset") return /^\d{1,19}$/.test(at) ? { case: "offset", value: BigInt(at) } : undefined;
  const ms = new Date(at).getTime();
  return Number.isNaN(ms) ? undefined : { case: "timestampMs", value: BigInt(ms) };
}

function sum(answer: AdminServiceResetGroupResponse | undefined, of: (move: GroupMove) => bigint): bigint {
  return (answer?.partitions ?? []).reduce((total, move) => total + of(move), 0n);
}

const columns: readonly Column<GroupMove>[] = [
  { id: "partition", header: "Partition", cell: ({ partition }) => partition },
  { id: "before", header: "Before", numeric: true, cell: ({ before }) => formatCount(before) },
  { id: "after", header: "After", numeric: true, cell: ({ after }) => formatCount(after) },
  { id: "reread", header: "Delivered again", numeric: true, cell: ({ rereadRecords }) => formatCount(rereadRecords) },
  {
    id: "skipped",
    header: "Never delivered",
    numeric: true,
    cell: ({ skippedRecords }) => (
      <span className={skippedRecords > 0n ? "font-medium text-bad" : ""}>{formatCount(skippedRecords)}</span>
    ),
  },
];
