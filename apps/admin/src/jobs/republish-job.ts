/** Re-publishes what a search finds: copies of the records, at the end of a topic. */
import { GmqError } from "@gmq/protocol";
import type { PortalRecord, PortalServiceSearchRequest, Republish } from "@gmq/protocol/messages";
import type { JobRun, JobWork } from "./job-run.js";
import { said } from "./job-run.js";
import { checkRate, createPace, together } from "./pace.js";
import { type Copy, publishCopies } from "./publish-copies.js";
import { checkSearch, scanAll } from "./scan-all.js";

/** Counts how often a record was re-published; it stays with the record. */
const republishesHeader = "gmq-republishes";
const republishesMaxDefault = 3;
const togetherMax = 200;

/** @throws GmqError `invalid_argument` */
export function republishJob(request: Republish): JobWork {
  const search = checkSearch(request.search);
  checkRate(request.ratePerSecond);
  const { dryRun } = request;
  const toTopic = request.toTopic === "" ? search.topic : request.toTopic;
  return {
    action: "Republish",
    title: `${dryRun ? "Count records to re-publish" : "Re-publish records"} of ${search.topic} to ${toTopic}`,
    topic: toTopic,
    group: "",
    writes: !dryRun,
    dryRun,
    compared: false,
    notResumable: "",
    fileName: "",
    run: (run) => republish(run, request, search, toTopic),
  };
}

async function republish(
  run: JobRun,
  { republishesMax, ratePerSecond, dryRun }: Republish,
  search: PortalServiceSearchRequest,
  toTopic: string,
): Promise<void> {
  const { signal } = run;
  const most = republishesMax === 0 ? republishesMaxDefault : republishesMax;
  const pace = createPace(ratePerSecond, signal);
  const size = together(ratePerSecond, togetherMax);
  // Refused at once, not after the first piece was read.
  await run.brokers.read(({ admin }) => admin.describeTopic({ topic: toTopic }), signal);
  const options = { newestFirst: false, recordsMax: Number.POSITIVE_INFINITY, from: run.checkpoint };
  for await (const { records, checkpoint } of scanAll(run, search, options)) {
    const wanted = records.filter((record) => {
      const times = republishesOf(record);
      if (times < most) return true;
      if (dryRun) run.count("skipped", 1);
      else run.note("skipped", placeOf(search.topic, record), `re-published ${times} times before`);
      return false;
    });
    if (dryRun) run.count("done", wanted.length);
    else {
      for (let first = 0; first < wanted.length; first += size) {
        const part = wanted.slice(first, first + size);
        await pace(part.length);
        const copies = part.map((record) => copyOf(record, toTopic, run.jobId));
        await publishCopies(run.brokers, copies, signal, (index, result) => {
          const place = placeOf(search.topic, part[index] as PortalRecord);
          if (result instanceof GmqError) run.note("failed", place, said(result));
          else run.note("done", place, `${toTopic} / ${result.partition} @ ${result.offset}`);
        });
      }
    }
    await run.save(checkpoint);
  }
  run.job.total = run.job.done + run.job.skipped + run.job.failed;
}

function copyOf(record: PortalRecord, toTopic: string, jobId: string): Copy {
  const headers = [
    ...record.headers.filter(({ key }) => key !== republishesHeader),
    { key: republishesHeader, value: new TextEncoder().encode(String(republishesOf(record) + 1)) },
  ];
  const { key, value, partition, offset } = record;
  return {
    topic: toTopic,
    key,
    value,
    headers,
    dedupeId: `republish/${jobId}/${partition}/${offset}`,
  };
}

function republishesOf({ headers }: PortalRecord): number {
  const header = headers.find(({ key }) => key === republishesHeader);
  const times = header === undefined ? 0 : Number(new TextDecoder().decode(header.value));
  return Number.isSafeInteger(times) && times > 0 ? times : 0;
}

function placeOf(topic: string, { partition, offset }: PortalRecord): string {
  return `${topic} / ${partition} @ ${offset}`;
}
