import { create } from "@bufbuild/protobuf";
import { ChangeTopicsSchema, JobState, type PortalTopic, TopicsAct } from "@gmq/protocol/messages";
import { type ReactNode, useState } from "react";
import { JobProgress } from "../jobs/job-progress.js";
import { useStartedJob } from "../jobs/use-job.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyJob, quote } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook, Select } from "../parts/field.js";
import { counted, formatBytes, formatCount } from "../parts/format.js";
import { ProblemNotice } from "../parts/notice.js";
import { TypedName } from "../parts/typed-name.js";

interface ChangeTopicsDialogProps {
  readonly topics: readonly PortalTopic[];
  readonly onClose: () => void;
}

type Act = "purge" | "delete" | "alter";

const acts: readonly (readonly [Act, string])[] = [
  ["purge", "purge: delete their records, all but the last batch of each partition"],
  ["alter", "alter: how long records are kept"],
  ["delete", "delete: the topics with everything in them"],
];
const actCodes = { purge: TopicsAct.PURGE, delete: TopicsAct.DELETE, alter: TopicsAct.ALTER } as const;

/** What `gmq topics` takes beside the topic's name. */
const flags: Readonly<Record<Act, (hours: string) => string>> = {
  purge: () => ` --to-offset ${Number.MAX_SAFE_INTEGER}`,
  alter: (hours) => ` --retention-ms ${Math.round(Number(hours || "0") * 3_600_000)}`,
  delete: () => "",
};

/** Does the same to many topics, after showing what that costs in each. */
export function ChangeTopicsDialog({ topics, onClose }: ChangeTopicsDialogProps): ReactNode {
  const { groups } = useLive();
  const [act, setAct] = useState<Act>("purge");
  const [hours, setHours] = useState("");
  const [typed, setTyped] = useState("");
  // As it was when the dialog opened: a topic that is deleted leaves the page's list.
  const [chosen] = useState(topics);
  const started = useStartedJob();
  const { job } = started;
  const name = counted(chosen.length, "topic");
  const work = {
    work: {
      case: "changeTopics",
      value: create(ChangeTopicsSchema, {
        topics: chosen.map((topic) => topic.name),
        act: actCodes[act],
        ...(act === "alter"
          ? { config: { retention: { ms: BigInt(Math.round(Number(hours || "0") * 3_600_000)) } } }
          : {}),
      }),
    },
  } as const;
  const readersOf = (topic: string) => [...groups.values()].filter((group) => group.topics.includes(topic));
  const records = chosen.reduce((sum, topic) => sum + topic.records, 0n);
  const isReady = act === "alter" ? Number(hours) > 0 : typed === name;
  return (
    <Dialog title={`Change ${name}`} onClose={onClose} wide>
      <form
        className="flex flex-col gap-4 text-[13px]"
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) started.start(work);
        }}
      >
        <Field label="What to do">
          {(ids) => (
            <Select<Act>
              {...ids}
              disabled={job !== undefined}
              options={acts}
              value={act}
              onChange={(value) => {
                setAct(value);
                setTyped("");
              }}
            />
          )}
        </Field>
        {act === "alter" && (
          <Field label="Keep records for, hours" hint="The other bounds stay as they are">
            {(ids) => (
              <input
                {...ids}
                type="number"
                min={0.01}
                step="any"
                required
                className={inputLook("w-40")}
                value={hours}
                onChange={(event) => setHours(event.target.value)}
              />
            )}
          </Field>
        )}
        {job === undefined && (
          <>
            <p role="status">
              {act === "alter" ? (
                <>What is older is deleted soon after.</>
              ) : (
                <>
                  <span className="font-medium text-bad">{counted(records, "record")}</span>{" "}
                  {act === "delete"
                    ? "would be deleted for good"
                    : "are kept now; nearly all of them would be deleted for good"}
                  .
                </>
              )}
            </p>
            <div className="overflow-hidden rounded-lg border border-line">
              <DataTable
                caption="Topics that are meant"
                columns={columns(readersOf)}
                rows={chosen}
                rowKey={(topic) => topic.name}
                tall={chosen.length > 10}
                empty={null}
              />
            </div>
          </>
        )}
        {act !== "alter" && job === undefined && <TypedName name={name} value={typed} onChange={setTyped} />}
        {started.error !== null && <ProblemNotice error={started.error} />}
        {job !== undefined && <JobProgress job={job} notDone={started.notDone} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyJob
            request={work}
            gmq={chosen.map((topic) => `gmq topics ${act} ${quote(topic.name)}${flags[act](hours)}`).join("\n")}
          />
          {started.isActive && <Button onClick={started.cancel}>Stop</Button>}
          <Button onClick={onClose}>{job?.state === JobState.DONE ? "Close" : "Cancel"}</Button>
          {job === undefined && (
            <Button look={act === "alter" ? "primary" : "danger"} type="submit" disabled={!isReady || started.isActive}>
              {act === "purge" ? "Purge" : act === "delete" ? "Delete" : "Alter"} {name}
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}

function columns(
  readersOf: (topic: string) => readonly { readonly name: string; readonly lagRecords: bigint }[],
): readonly Column<PortalTopic>[] {
  return [
    { id: "name", header: "Topic", grow: true, cell: ({ name }) => <span title={name}>{name}</span> },
    { id: "records", header: "Records", numeric: true, cell: ({ records }) => formatCount(records) },
    { id: "bytes", header: "Size", numeric: true, from: "sm", cell: ({ bytes }) => formatBytes(bytes) },
    {
      id: "groups",
      header: "Not settled by",
      from: "sm",
      cell: ({ name }) =>
        readersOf(name)
          .filter(({ lagRecords }) => lagRecords > 0n)
          .map((group) => group.name)
          .slice(0, 4)
          .join(", ") || "–",
    },
  ];
}
