import { create } from "@bufbuild/protobuf";
import { JobState, RepublishSchema } from "@gmq/protocol/messages";
import { type ReactNode, useState } from "react";
import { JobProgress } from "../jobs/job-progress.js";
import { RateField, useRate } from "../jobs/rate-field.js";
import { useStartedJob } from "../jobs/use-job.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyJob } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook } from "../parts/field.js";
import { counted, formatCount } from "../parts/format.js";
import { ProblemNotice } from "../parts/notice.js";
import { republishCommand } from "./browse-command.js";
import { type MessagesSearch, searchRequestOf } from "./scan-query.js";

interface RepublishDialogProps {
  readonly topic: string;
  readonly search: MessagesSearch;
  readonly onClose: () => void;
}

/** Copies what the explorer's search finds to the end of a topic. It counts first; then it is a job, which goes on when the dialog is closed. */
export function RepublishDialog({ topic, search, onClose }: RepublishDialogProps): ReactNode {
  const { topics, groups } = useLive();
  const [toTopic, setToTopic] = useState(topic);
  const [rate, setRate] = useRate();
  const [most, setMost] = useState("3");
  const counting = useStartedJob();
  const sending = useStartedJob();
  const request = create(RepublishSchema, {
    search: searchRequestOf(topic, search, 0),
    toTopic,
    ratePerSecond: rate.perSecond,
    republishesMax: Number(most || "3"),
  });
  const work = { work: { case: "republish", value: request } } as const;
  const ready = counting.job?.state === JobState.DONE ? counting.job : undefined;
  const readers = [...groups.values()].filter((group) => group.topics.includes(toTopic));
  const change = (set: (text: string) => void) => {
    return (text: string): void => {
      set(text);
      counting.reset();
      sending.reset();
    };
  };
  const isBusy = counting.isActive || sending.isActive;
  return (
    <Dialog title={`Re-publish records of ${topic}`} onClose={onClose}>
      <form
        className="flex flex-col gap-4 text-[13px]"
        onSubmit={(event) => {
          event.preventDefault();
          counting.start({ work: { case: "republish", value: { ...request, dryRun: true } } });
        }}
      >
        <p>
          Everything that the page's search means, oldest first, not only what is listed: it is copied to the end of a
          topic, the records of one key in order. What is appended from now on is not copied.
        </p>
        <Field
          label="To topic"
          hint={
            readers.length === 0
              ? "No group reads it"
              : `Every group of it gets them: ${readers
                  .slice(0, 4)
                  .map(({ name }) => name)
                  .join(", ")}${readers.length > 4 ? ", …" : ""}`
          }
        >
          {(ids) => (
            <>
              <input
                {...ids}
                required
                list={`${ids.id}-topics`}
                spellCheck={false}
                className={inputLook()}
                value={toTopic}
                onChange={(event) => change(setToTopic)(event.target.value)}
              />
              <datalist id={`${ids.id}-topics`}>
                {[...topics.keys()].slice(0, 500).map((name) => (
                  <option key={name} value={name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        <div className="flex flex-wrap gap-4">
          <RateField rate={rate} onChange={change(setRate)} />
          <Field label="Re-published at most" hint="Times; what was more often is passed over">
            {(ids) => (
              <input
                {...ids}
                type="number"
                required
                min={1}
                max={100}
                className={inputLook("w-44")}
                value={most}
                onChange={(event) => change(setMost)(event.target.value)}
              />
            )}
          </Field>
        </div>
        {ready !== undefined && sending.job === undefined && (
          <p role="status">
            <span className="font-medium">{counted(ready.done, "record")}</span> would be re-published
            {ready.skipped > 0n && `, ${formatCount(ready.skipped)} passed over: re-published too often before`}.{" "}
            <span className="text-muted">{formatCount(ready.scanned)} scanned, all of it.</span>
          </p>
        )}
        {counting.job !== undefined && ready === undefined && (
          <JobProgress job={counting.job} notDone={counting.notDone} />
        )}
        {sending.job !== undefined && <JobProgress job={sending.job} notDone={sending.notDone} />}
        {(counting.error ?? sending.error) !== null && <ProblemNotice error={counting.error ?? sending.error} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyJob request={work} gmq={republishCommand(topic, search, request)} />
          {isBusy ? (
            <>
              <Button onClick={sending.isActive ? sending.cancel : counting.cancel}>Stop</Button>
              {sending.isActive && <Button onClick={onClose}>Go on in the background</Button>}
            </>
          ) : (
            <Button onClick={onClose}>{sending.job === undefined ? "Cancel" : "Close"}</Button>
          )}
          {sending.job === undefined && (
            <Button type="submit" disabled={isBusy || rate.problem !== undefined}>
              {ready === undefined ? "Count first" : "Count again"}
            </Button>
          )}
          {ready !== undefined && sending.job === undefined && (
            <Button
              look="primary"
              disabled={ready.done === 0n || rate.problem !== undefined}
              onClick={() => sending.start(work)}
            >
              Re-publish {formatCount(ready.done)}
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}
