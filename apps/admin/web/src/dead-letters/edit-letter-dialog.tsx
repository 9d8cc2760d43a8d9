import { create } from "@bufbuild/protobuf";
import { type DeadLetter, type EditedLetter, EditedLetterSchema, JobState } from "@gmq/protocol/messages";
import { type ReactNode, useState } from "react";
import { hexOf, textOf } from "../decode/decoders.js";
import { JobProgress } from "../jobs/job-progress.js";
import { useStartedJob } from "../jobs/use-job.js";
import { bytesOf, type Encoding, encodingOptions } from "../messages/encodings.js";
import { HeaderRows, headerRowsOf, headersOf } from "../messages/header-rows.js";
import { KeyField, useKey } from "../messages/key-field.js";
import { Button } from "../parts/button.js";
import { CopyJob, quote } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook, Select } from "../parts/field.js";
import { ProblemNotice } from "../parts/notice.js";
import { publishCommand } from "../produce/publish-command.js";

const redrivesHeader = "gmq-redrives";

interface EditLetterDialogProps {
  readonly topic: string;
  readonly group: string;
  readonly letter: DeadLetter;
  readonly onClose: () => void;
}

/** Changes one dead letter before it goes back: the edit is stored as a new record, then the letter is settled. What was is kept in the dead-letter topic. */
export function EditLetterDialog({ topic, group, letter, onClose }: EditLetterDialogProps): ReactNode {
  const { record, place } = letter;
  const wholeValue = record?.value ?? new Uint8Array();
  const asText = textOf(wholeValue);
  const key = useKey(record ?? {});
  const [value, setValue] = useState(asText ?? hexOf(wholeValue));
  const [encoding, setEncoding] = useState<Encoding>(asText === undefined ? "hex" : "text");
  const [headers, setHeaders] = useState(() => headerRowsOf(record?.headers ?? []));
  const started = useStartedJob();
  const { job } = started;
  const body = bytesOf(value, encoding);
  const work = {
    work: {
      case: "editedLetter",
      value: create(EditedLetterSchema, {
        topic,
        group,
        ...(place === undefined ? {} : { place }),
        ...(key.bytes === undefined ? {} : { key: key.bytes }),
        value: body.ok ? body.bytes : new Uint8Array(),
        headers: headersOf(headers),
      }),
    },
  } as const;
  const isDone = job?.state === JobState.DONE;
  return (
    <Dialog title={`Edit dead letter ${place?.partition} · ${place?.offset}`} onClose={onClose} wide>
      <form
        className="flex flex-col gap-4 text-[13px]"
        onSubmit={(event) => {
          event.preventDefault();
          if (body.ok) started.start(work);
        }}
      >
        <p className="text-muted">
          The edit is stored at the end of {topic} as a new record, by its key; then this letter is settled. Every group
          of the topic gets it.
        </p>
        <KeyField value={key} />
        <Field label="Value" problem={body.ok ? undefined : body.problem}>
          {(ids) => (
            <textarea
              {...ids}
              rows={8}
              spellCheck={false}
              className={`${inputLook()} font-mono text-xs leading-5`}
              value={value}
              onChange={(event) => setValue(event.target.value)}
            />
          )}
        </Field>
        <Field label="The value is">
          {(ids) => <Select<Encoding> {...ids} options={encodingOptions} value={encoding} onChange={setEncoding} />}
        </Field>
        <HeaderRows headers={headers} onChange={setHeaders} />
        {started.error !== null && <ProblemNotice error={started.error} />}
        {job !== undefined && <JobProgress job={job} notDone={started.notDone} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyJob request={work} gmq={editCommand(topic, group, letter, work.work.value)} />
          <Button onClick={onClose}>{isDone ? "Close" : "Cancel"}</Button>
          {!isDone && (
            <Button look="primary" type="submit" disabled={!body.ok || started.isActive}>
              {started.isActive ? "Redriving…" : "Redrive the edit"}
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}

/** The same in two steps: the letter is settled only when the edit is stored. The header counts redrives, as the job does. */
function editCommand(topic: string, group: string, letter: DeadLetter, edit: EditedLetter): string | undefined {
  const { place, redrives } = letter;
  const counted = { key: redrivesHeader, value: new TextEncoder().encode(String(redrives + 1)) };
  const headers = [...edit.headers.filter(({ key }) => key !== redrivesHeader), counted];
  const publish = publishCommand(topic, { key: edit.key, value: edit.value, headers });
  if (publish === undefined || place === undefined) return undefined;
  return `${publish} &&\n  gmq dlq discard ${quote(topic)} ${quote(group)} --select ${place.partition}/${place.offset}`;
}
