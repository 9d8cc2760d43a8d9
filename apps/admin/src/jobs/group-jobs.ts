/** Jobs on a group's place and on what it gave up: reset, redrive, discard, and a letter that was edited. */
import { ConnectError } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import {
  type AdminServiceRedriveRequest,
  type AdminServiceResetGroupRequest,
  type DeadLetterPlace,
  type EditedLetter,
  type MovedTo,
  RedriveAction,
  type RedriveProgress,
} from "@gmq/protocol/messages";
import { fromConnectError } from "@gmq/transport";
import type { JobRun, JobWork } from "./job-run.js";
import { checkRate } from "./pace.js";
import { publishCopy } from "./publish-copies.js";

const redrivesHeader = "gmq-redrives";

/** Resets a group's offsets. The store does it as one, for the version that the preview showed. */
export function resetJob(request: AdminServiceResetGroupRequest): JobWork {
  const { group, topic } = request;
  return {
    action: "ResetGroup",
    title: `Reset offsets of ${group} in ${topic}`,
    topic,
    group,
    writes: true,
    dryRun: false,
    compared: true,
    notResumable: "members and records may have moved meanwhile: ask for the preview again",
    fileName: "",
    async run(run) {
      const { partitions } = await run.brokers.write(({ admin }) => admin.resetGroup({ ...request, dryRun: false }));
      run.job.total = BigInt(partitions.length);
      for (const { partition, before, after, rereadRecords, skippedRecords } of partitions) {
        const detail = `${before} → ${after}: ${rereadRecords} delivered again, ${skippedRecords} never delivered`;
        run.note("done", `${topic} / ${partition}`, detail);
      }
    },
  };
}

/** Redrives or discards. What was moved is settled, so asking again goes on with the rest. */
export function redriveJob(request: AdminServiceRedriveRequest): JobWork {
  const { topic, group, action, selected } = request;
  // The broker refuses it too; a job that cannot begin is not made.
  checkRate(request.ratePerSecond);
  const discards = action === RedriveAction.DISCARD;
  const what = selected.length > 0 ? `${selected.length} dead letters` : "dead letters";
  return {
    action: "Redrive",
    title: `${discards ? "Discard" : "Redrive"} ${what} of ${group} (${topic})`,
    topic,
    group,
    writes: true,
    dryRun: false,
    compared: false,
    notResumable: "",
    fileName: "",
    run: (run) => runRedrive(run, { ...request, dryRun: false }),
  };
}

async function runRedrive(run: JobRun, request: AdminServiceRedriveRequest): Promise<void> {
  const before = { done: run.job.done, skipped: run.job.skipped, failed: run.job.failed };
  const stream = await run.brokers.write(({ admin }) =>
    Promise.resolve(admin.redrive(request, { signal: run.signal, timeoutMs: 0 })),
  );
  let last: RedriveProgress | undefined;
  try {
    for await (const { event } of stream) {
      if (event.case === "failure") {
        const { place, error } = event.value;
        run.note("failed", placeName(place), `${error?.code}: ${error?.message}`);
        continue;
      }
      if (event.case !== "progress") continue;
      last = event.value;
      for (const { place, to } of last.movedLetters) run.note("done", placeName(place), to && storedAt(to));
      for (const { place, redrives } of last.skippedLetters) {
        run.note("skipped", placeName(place), `redriven ${redrives} times before`);
      }
      // Older brokers only count.
      run.count("done", Number(last.moved + before.done - run.job.done));
      run.count("skipped", Number(last.skipped + before.skipped - run.job.skipped));
      run.job.total = last.done ? run.job.done + run.job.skipped + run.job.failed : -1n;
      await run.save("");
    }
  } catch (error) {
    throw fromConnectError(error, run.signal);
  }
  if (last?.done !== true) throw new GmqError("unavailable", "the broker ended the redrive before it was done");
}

/** Stores an edited letter as a new record, then settles the letter. Both may be repeated: the record has a dedupe id. */
export function editedLetterJob(letter: EditedLetter): JobWork {
  const { topic, group, place, key, value, headers } = letter;
  if (place === undefined) throw new GmqError("invalid_argument", "no letter is named", { field: "place" });
  return {
    action: "RedriveEdited",
    title: `Redrive an edited dead letter of ${group} (${topic})`,
    topic,
    group,
    writes: true,
    dryRun: false,
    compared: false,
    notResumable: "",
    fileName: "",
    async run(run) {
      run.job.total = 1n;
      const settle = { topic, group, selected: [place], action: RedriveAction.DISCARD };
      // Once the record is stored the letter has to go, whatever became of it meanwhile.
      if (run.checkpoint === "" && (await matchedBy(run, settle, true)) === 0n) {
        throw new GmqError("conflict", "the letter was redriven or discarded meanwhile", { field: "place" });
      }
      const { letters } = await run.brokers.read(({ admin }) =>
        admin.listDeadLetters({
          topic,
          group,
          filter: { partition: place.partition, fromOffset: place.offset, toOffset: place.offset },
        }),
      );
      const redrives = (letters[0]?.redrives ?? 0) + 1;
      const stored = await publishCopy(
        run.brokers,
        {
          topic,
          key,
          value,
          headers: [
            ...headers.filter((header) => header.key !== redrivesHeader),
            { key: redrivesHeader, value: new TextEncoder().encode(String(redrives)) },
          ],
          dedupeId: `edited/${run.jobId}`,
        },
        run.signal,
      );
      await run.save("stored");
      await matchedBy(run, settle, false);
      run.note("done", placeName(place), storedAt({ ...stored, topic }));
    },
  };
}

/** Runs a redrive to its end; resolves with how many letters it was about. */
async function matchedBy(
  run: JobRun,
  request: {
    readonly topic: string;
    readonly group: string;
    readonly selected: DeadLetterPlace[];
    readonly action: RedriveAction;
  },
  dryRun: boolean,
): Promise<bigint> {
  const stream = await run.brokers.write(({ admin }) =>
    Promise.resolve(admin.redrive({ ...request, dryRun }, { signal: run.signal, timeoutMs: 0 })),
  );
  let matched = 0n;
  try {
    for await (const { event } of stream) {
      if (event.case === "progress") ({ matched } = event.value);
      else if (event.case === "failure")
        throw new GmqError("unavailable", `the letter could not be settled: ${event.value.error?.message}`);
    }
  } catch (error) {
    throw error instanceof ConnectError ? fromConnectError(error, run.signal) : GmqError.from(error);
  }
  return matched;
}

function storedAt({ topic, partition, offset }: Pick<MovedTo, "topic" | "partition" | "offset">): string {
  return `stored at ${topic} / ${partition} @ ${offset}`;
}

function placeName(place: DeadLetterPlace | undefined): string {
  return `${place?.partition} · ${place?.offset}`;
}
