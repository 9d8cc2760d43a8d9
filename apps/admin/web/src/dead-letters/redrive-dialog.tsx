import {
  type DeadLetterFilter,
  type DeadLetterPlace,
  RedriveAction,
  type RedriveFailure,
  type RedriveProgress,
} from "@gmq/protocol/messages";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook } from "../parts/field.js";
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

interface Run {
  readonly dryRun: boolean;
  readonly progress: RedriveProgress | undefined;
  readonly failures: readonly RedriveFailure[];
  readonly error: unknown;
}

const failuresShown = 50;

/** Puts dead letters back into their topic, or away. It counts first; while it runs it tells how far it is, and closing the dialog stops it. */
export function RedriveDialog({ topic, group, action, filter, selected, onClose }: RedriveDialogProps): ReactNode {
  const [run, setRun] = useState<Run>();
  const [rate, setRate] = useState("");
  const [typed, setTyped] = useState("");
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const discards = action === RedriveAction.DISCARD;
  const isCounted = run?.dryRun === true && run.progress?.done === true;
  const isDone = run?.dryRun === false && run.progress?.done === true;
  const isRunning = run !== undefined && run.error === undefined && run.progress?.done !== true;

  async function start(dryRun: boolean): Promise<void> {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    let now: Run = { dryRun, progress: undefined, failures: [], error: undefined };
    setRun(now);
    const request = {
      topic,
      group,
      filter,
      selected: [...selected],
      dryRun,
      action,
      ratePerSecond: Number(rate || "0"),
    };
    try {
      for await (const { event } of admin.redrive(request, { signal: own.signal })) {
        if (event.case === "progress") now = { ...now, progress: event.value };
        else if (event.case === "failure")
          now = { ...now, failures: [...now.failures, event.value].slice(0, failuresShown) };
        setRun(now);
      }
    } catch (error) {
      if (!own.signal.aborted) setRun({ ...now, error });
    }
  }

  return (
    <Dialog title={`${discards ? "Discard" : "Redrive"} dead letters of ${group}`} onClose={onClose}>
      <div className="flex flex-col gap-4 text-[13px]">
        <p>
          {selected.length > 0 ? counted(selected.length, "selected dead letter") : "All that pass the page's filter"}{" "}
          {discards
            ? "are settled and gone from the list. They stay in the dead-letter topic until its retention ends."
            : `go back to the end of their partition of ${topic}, each once. Every group of the topic gets them again.`}
        </p>
        {!discards && !isDone && (
          <Field label="At most, records per second" hint="Empty: as fast as it goes">
            {(ids) => (
              <input
                {...ids}
                type="number"
                min={1}
                className={inputLook("w-40")}
                value={rate}
                onChange={(event) => setRate(event.target.value)}
              />
            )}
          </Field>
        )}
        {run?.progress !== undefined && <Progress run={run} progress={run.progress} discards={discards} />}
        {run !== undefined && run.failures.length > 0 && (
          <ul className="m-0 max-h-40 list-none overflow-y-auto p-0">
            {run.failures.map(({ place, error }) => (
              <li key={`${place?.partition}-${place?.offset}`} className="wrap-anywhere text-bad">
                {place?.partition} · {String(place?.offset)}: {error?.message}
              </li>
            ))}
          </ul>
        )}
        {run?.error !== undefined && <ProblemNotice error={run.error} />}
        {isCounted && discards && <TypedName name={group} value={typed} onChange={setTyped} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{isRunning ? "Stop" : isDone ? "Close" : "Cancel"}</Button>
          {!isCounted && !isDone && (
            <Button disabled={isRunning} onClick={() => void start(true)}>
              Count first
            </Button>
          )}
          {isCounted && (
            <Button
              look={discards ? "danger" : "primary"}
              disabled={run.progress?.moved === 0n || (discards && typed !== group)}
              onClick={() => void start(false)}
            >
              {discards ? "Discard" : "Redrive"} {formatCount(run.progress?.moved ?? 0n)}
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

function Progress({
  run,
  progress,
  discards,
}: {
  readonly run: Run;
  readonly progress: RedriveProgress;
  readonly discards: boolean;
}): ReactNode {
  const { matched, moved, skipped, failed, done } = progress;
  const word = discards ? "discarded" : "redriven";
  return (
    <div role="status">
      {!run.dryRun && !done && (
        <progress aria-label="Done" className="w-full" max={Number(matched)} value={Number(moved + skipped + failed)} />
      )}
      <p className="tabular-nums">
        {run.dryRun
          ? `${formatCount(moved)} of ${formatCount(matched)} would be ${word}`
          : `${formatCount(moved)} ${word}`}
        {skipped > 0n && `, ${formatCount(skipped)} passed over: redriven too often before`}
        {failed > 0n && `, ${formatCount(failed)} failed`}
      </p>
    </div>
  );
}
