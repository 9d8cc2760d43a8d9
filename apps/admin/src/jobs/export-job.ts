/** Exports what a search finds to a file of the portal, whole values, in the order that was asked for. */
import { GmqError } from "@gmq/protocol";
import { type ExportRecords, type PortalServiceSearchRequest, ScanOrder } from "@gmq/protocol/messages";
import { type RecordWriter, writerOf } from "./export-formats.js";
import type { JobRun, JobWork } from "./job-run.js";
import { checkSearch, scanAll } from "./scan-all.js";

const recordsDefault = 10_000;
const recordsMaxMax = 1_000_000;
export const fileBytesMax = 256 * 1024 * 1024;

/** @throws GmqError `invalid_argument` */
export function exportJob({ search: asked, format, recordsMax }: ExportRecords): JobWork {
  const search = checkSearch(asked);
  const writer = writerOf(format);
  if (writer === undefined) throw new GmqError("invalid_argument", "no such format", { field: "format" });
  if (recordsMax > recordsMaxMax) {
    throw new GmqError("invalid_argument", `records_max is ${recordsMax}`, {
      field: "records_max",
      limit: `1 to ${recordsMaxMax} records`,
    });
  }
  const most = recordsMax === 0 ? recordsDefault : recordsMax;
  return {
    action: "ExportRecords",
    title: `Export records of ${search.topic} as ${writer.extension}`,
    topic: search.topic,
    group: "",
    writes: false,
    dryRun: false,
    compared: false,
    notResumable: "",
    fileName: `${search.topic}.${writer.extension}`,
    run: (run) => exportRecords(run, search, writer, most),
  };
}

async function exportRecords(
  run: JobRun,
  search: PortalServiceSearchRequest,
  writer: RecordWriter,
  recordsMax: number,
): Promise<void> {
  if (run.job.fileBytes === 0n) await run.write(writer.begin);
  const newestFirst = search.order !== ScanOrder.OLDEST_FIRST;
  const options = { newestFirst, recordsMax: recordsMax - Number(run.job.done), from: run.checkpoint };
  let isComplete = false;
  for await (const { records, checkpoint, complete } of scanAll(run, search, options)) {
    isComplete = complete;
    const pieces = records.map((record, index) =>
      writer.record(search.topic, record, run.job.done === 0n && index === 0),
    );
    await run.write(Buffer.concat(pieces));
    run.count("done", records.length);
    if (run.job.fileBytes > BigInt(fileBytesMax)) {
      throw new GmqError("resource_exhausted", "the file is full; what is in it stays", {
        limit: `${fileBytesMax} bytes`,
      });
    }
    await run.save(checkpoint);
  }
  await run.write(writer.end);
  // Left unknown when there are more than were wanted.
  if (isComplete) run.job.total = run.job.done;
}
