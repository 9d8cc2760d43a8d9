import { type ReactNode, useEffect, useRef, useState } from "react";
import { Button } from "../parts/button.js";
import { Dialog } from "../parts/dialog.js";
import { Field, Select } from "../parts/field.js";
import { counted, formatCount } from "../parts/format.js";
import { ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { type ExportFormat, type ExportProgress, exportRecords } from "./export-records.js";
import type { MessagesSearch } from "./scan-query.js";

interface ExportDialogProps {
  readonly topic: string;
  readonly search: MessagesSearch;
  readonly onClose: () => void;
}

/** Writes what the explorer shows, and what follows, into a file. Values are whole there, also where the list cuts them. */
export function ExportDialog({ topic, search, onClose }: ExportDialogProps): ReactNode {
  const [format, setFormat] = useState<ExportFormat>("ndjson");
  const [recordsMax, setRecordsMax] = useState("1000");
  const [progress, setProgress] = useState<ExportProgress>();
  const [error, setError] = useState<unknown>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const isRunning = progress !== undefined && error === undefined;

  async function run(): Promise<void> {
    const own = new AbortController();
    running.current = own;
    setError(undefined);
    setProgress({ records: 0, scanned: 0, complete: false });
    let last: ExportProgress | undefined;
    const note = (now: ExportProgress): void => {
      last = now;
      setProgress(now);
    };
    try {
      const file = await exportRecords(topic, search, format, Number(recordsMax), note, own.signal);
      download(file, `${topic}.${format}`);
      say(`Exported ${counted(last?.records ?? 0, "record")}${last?.complete === true ? "" : "; there are more"}`);
      onClose();
    } catch (failure) {
      if (!own.signal.aborted) setError(failure);
    }
  }

  return (
    <Dialog title="Export records" onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <div className="flex flex-wrap gap-4">
          <Field label="Format">
            {(ids) => (
              <Select<ExportFormat>
                {...ids}
                options={[
                  ["ndjson", "NDJSON"],
                  ["csv", "CSV (RFC 4180)"],
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
                  ["50000", "50,000 records"],
                ]}
                value={recordsMax}
                onChange={setRecordsMax}
              />
            )}
          </Field>
        </div>
        <p className="text-xs text-muted">
          The order and the filters of the page apply. Bytes that are no text are written as base64 and marked so.
        </p>
        {progress !== undefined && (
          <div>
            <progress
              aria-label="Records exported"
              className="w-full"
              max={Number(recordsMax)}
              value={progress.records}
            />
            <p className="text-xs text-muted tabular-nums">
              {formatCount(progress.records)} written, {formatCount(progress.scanned)} scanned
            </p>
          </div>
        )}
        {error !== undefined && <ProblemNotice error={error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={isRunning}>
            {isRunning ? "Exporting…" : "Export"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function download(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
