import { create } from "@bufbuild/protobuf";
import { ExportFormat, ExportRecordsSchema, JobState, type PortalJob } from "@gmq/protocol/messages";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { downloadFile } from "../jobs/download-file.js";
import { JobProgress } from "../jobs/job-progress.js";
import { useStartedJob } from "../jobs/use-job.js";
import { Button } from "../parts/button.js";
import { CopyAs } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { Field, Select } from "../parts/field.js";
import { counted } from "../parts/format.js";
import { ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { exportCommand } from "./browse-command.js";
import { exportCurl } from "./export-curl.js";
import { type MessagesSearch, searchRequestOf } from "./scan-query.js";

interface ExportDialogProps {
  readonly topic: string;
  readonly search: MessagesSearch;
  readonly onClose: () => void;
}

/** Writes what the explorer shows, and what follows, into a file. Values are whole there, also where the list cuts them. */
export function ExportDialog({ topic, search, onClose }: ExportDialogProps): ReactNode {
  const [format, setFormat] = useState<keyof typeof formats>("ndjson");
  const [recordsMax, setRecordsMax] = useState("1000");
  const started = useStartedJob();
  const { job } = started;
  const work = {
    work: {
      case: "export",
      value: create(ExportRecordsSchema, {
        search: searchRequestOf(topic, search, 0),
        format: formats[format],
        recordsMax: Number(recordsMax),
      }),
    },
  } as const;
  const downloading = useMutation({
    mutationFn: (ended: PortalJob) => downloadFile(ended),
    onSuccess: (_file, ended) => {
      say(`Exported ${counted(ended.done, "record")}${ended.total < 0n ? "; there are more" : ""}`);
      onClose();
    },
  });
  const { mutate: download } = downloading;
  useEffect(() => {
    if (job?.state === JobState.DONE) download(job);
  }, [job, download]);

  return (
    <Dialog title="Export records" onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          started.start(work);
        }}
      >
        <div className="flex flex-wrap gap-4">
          <Field label="Format">
            {(ids) => (
              <Select<keyof typeof formats>
                {...ids}
                options={[
                  ["ndjson", "NDJSON"],
                  ["csv", "CSV (RFC 4180)"],
                  ["json", "JSON array"],
                  ["msgpack", "MessagePack, one map a record"],
                ]}
                value={format}
                onChange={setFormat}
              />
            )}
          </Field>
          <Field label="At most">
            {(ids) => (
              <Select
                {...ids}
                options={[
                  ["100", "100 records"],
                  ["1000", "1,000 records"],
                  ["10000", "10,000 records"],
                  ["100000", "100,000 records"],
                  ["1000000", "1,000,000 records"],
                ]}
                value={recordsMax}
                onChange={setRecordsMax}
              />
            )}
          </Field>
        </div>
        <p className="text-xs text-muted">
          The order and the filters of the page apply. Bytes that are no text are written as base64 and marked so;
          MessagePack holds them as they are. A file has at most 256 MB.
        </p>
        {job !== undefined && <JobProgress job={job} notDone={[]} />}
        {(started.error ?? downloading.error) !== null && <ProblemNotice error={started.error ?? downloading.error} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyAs
            gmq={format === "ndjson" ? exportCommand(topic, search, Number(recordsMax)) : undefined}
            curl={exportCurl(work, `${topic}.${format}`)}
          />
          <Button onClick={started.isActive ? started.cancel : onClose}>{started.isActive ? "Stop" : "Close"}</Button>
          <Button look="primary" type="submit" disabled={started.isActive || downloading.isPending}>
            {started.isActive ? "Exporting…" : "Export"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

const formats = {
  ndjson: ExportFormat.NDJSON,
  csv: ExportFormat.CSV,
  json: ExportFormat.JSON,
  msgpack: ExportFormat.MESSAGE_PACK,
} as const;
