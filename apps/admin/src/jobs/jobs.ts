/**
 * The portal's long acts. One goes on whether anybody looks or not, until it is through, cannot go on, is cancelled, or the portal ends: then it is interrupted,
 * and the next portal shows it so. Each is noted in the audit when it is asked for and when it has ended.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import {
  JobState,
  type PortalJob,
  PortalJobSchema,
  type PortalServiceGetJobRequest,
  type PortalServiceStartJobRequest,
} from "@gmq/protocol/messages";
import { errorToMessage } from "@gmq/transport";
import type { AuditLog } from "../audit/audit-log.js";
import { describeTarget, targetOf } from "../calls/audited-write.js";
import type { Brokers } from "../calls/brokers.js";
import type { Caller } from "../calls/request-guard.js";
import { createJobRun, type RunningJob } from "./create-job-run.js";
import { jobBounds, limitOf, removable } from "./job-bounds.js";
import type { JobWork } from "./job-run.js";
import type { Base, JobFiles, JobStore, SavedOutcome } from "./job-store.js";
import { workOf } from "./job-work.js";

/** The jobs of one portal. */
export interface Jobs {
  readonly kept: boolean;
  /** `role`: of the caller, "" where access is off. @throws GmqError `invalid_argument`, `resource_exhausted` */
  start(request: PortalServiceStartJobRequest, work: JobWork, caller: Caller, role: string): Promise<PortalJob>;
  /** Newest first. */
  list(): readonly PortalJob[];
  /** Those that wait or run. */
  active(): readonly PortalJob[];
  /** @throws GmqError `invalid_argument` when there is no such job */
  get(request: PortalServiceGetJobRequest): Promise<{ job: PortalJob; outcomes: SavedOutcome[]; more: boolean }>;
  /** What was done stays done. Resolves when the job has stopped. @throws GmqError `invalid_argument`, `conflict` when it has ended */
  cancel(jobId: string, caller: Caller): Promise<PortalJob>;
  /** @throws GmqError `invalid_argument`, `conflict` when it cannot be resumed, `resource_exhausted` */
  resume(jobId: string, caller: Caller): Promise<PortalJob>;
  /** The work of a job, as the guard is asked about it. @throws GmqError `invalid_argument` */
  workOf(jobId: string): JobWork;
  /** @throws GmqError `invalid_argument` */
  find(jobId: string): PortalJob;
  /** @throws GmqError `invalid_argument` when it has no file */
  readFile(jobId: string, offset: bigint): Promise<{ piece: Uint8Array; nextOffset: bigint }>;
  close(): Promise<void>;
}

/** How jobs read records. */
export interface JobReaders {
  /** Brokers as this role sees them. */
  as(role: string): Brokers;
  /** Whether something of the topic is masked for anybody. */
  isMasked(topic: string): boolean;
}

interface Entry {
  job: PortalJob;
  readonly request: PortalServiceStartJobRequest;
  readonly files: JobFiles;
  checkpoint: string;
  outcomesBytes: number;
  base: Base;
  /** Who ended the last run. */
  cancelledBy: string;
  stop: AbortController | undefined;
  running: Promise<void> | undefined;
}

const pieceBytes = 1024 * 1024;

/** Opens what an earlier portal left: what ran is interrupted, what waited waits anew. */
export async function openJobs(store: JobStore, readers: JobReaders, audit: AuditLog, logger: Logger): Promise<Jobs> {
  const entries = new Map<string, Entry>();
  let closing = false;

  for (const saved of (await store.load()).sort((left, right) =>
    Number(left.job.createdAtMs - right.job.createdAtMs),
  )) {
    const { job } = saved;
    const files = store.files(job.jobId);
    const entry: Entry = { ...saved, files, cancelledBy: "", stop: undefined, running: undefined };
    entries.set(job.jobId, entry);
    if (job.state === JobState.RUNNING) await end(entry, JobState.INTERRUPTED);
    // Whoever started it may still want to take it back: the time to do so begins anew.
    else if (job.state === JobState.WAITING) {
      job.startsAtMs = BigInt(Date.now() + saved.request.delayMs);
      launch(entry, workOf(saved.request), job.actor);
    }
  }

  async function end(entry: Entry, state: JobState): Promise<void> {
    entry.job = { ...entry.job, state, endedAtMs: BigInt(Date.now()) };
    await entry.files.save(entry.job, entry.checkpoint, entry.outcomesBytes, entry.base);
  }

  function launch(entry: Entry, work: JobWork, actor: string): void {
    const stop = new AbortController();
    entry.stop = stop;
    entry.running = go(entry, work, actor, stop.signal)
      .catch((error: unknown) => {
        logger.error("a job could not be kept", { error, jobId: entry.job.jobId });
        const failure = errorToMessage(GmqError.from(error));
        entry.job = { ...entry.job, state: JobState.FAILED, error: failure, endedAtMs: BigInt(Date.now()) };
      })
      .finally(() => {
        entry.stop = undefined;
        entry.running = undefined;
      });
  }

  async function go(entry: Entry, work: JobWork, actor: string, signal: AbortSignal): Promise<void> {
    const ended = work.dryRun ? undefined : await note(entry, work, actor);
    const run: RunningJob = createJobRun(entry, readers.as(entry.job.role), signal);
    let failure: GmqError | undefined;
    try {
      const waitMs = Number(entry.job.startsAtMs) - Date.now();
      if (waitMs > 0) await sleep(waitMs, undefined, { signal });
      entry.job = { ...entry.job, state: JobState.RUNNING };
      await run.save(entry.checkpoint);
      await work.run(run);
    } catch (error) {
      failure = GmqError.from(error);
    }
    const state = stateAfter(failure, signal.aborted, entry.job.state);
    await run.finish();
    const error = failure === undefined || signal.aborted ? {} : { error: errorToMessage(failure) };
    entry.job = { ...entry.job, ...error };
    // A job that waited is not changed by the end of the portal.
    if (state === JobState.WAITING) return;
    await end(entry, state);
    await ended?.(outcomeOf(entry.job), entry.job);
  }

  function stateAfter(failure: GmqError | undefined, aborted: boolean, before: JobState): JobState {
    if (failure === undefined) return JobState.DONE;
    if (!aborted) return JobState.FAILED;
    if (!closing) return JobState.CANCELLED;
    return before === JobState.WAITING ? JobState.WAITING : JobState.INTERRUPTED;
  }

  /** Notes the act before it is made; it is not made when that fails. */
  async function note(entry: Entry, work: JobWork, actor: string) {
    const { job, request } = entry;
    const { action, topic, group, compared } = work;
    const brokers = readers.as(job.role);
    const noted = await audit.begin({
      requestId: job.jobId,
      actor,
      action,
      target: targetOf(topic, group),
      requestJson: shownRequest(request, readers.isMasked(work.topic)),
      beforeJson: compared ? await describeTarget(brokers, topic, group) : "",
    });
    return async (outcome: ReturnType<typeof outcomeOf>, after: PortalJob): Promise<void> => {
      const { done, skipped, failed } = after;
      const cancelled = outcome === "cancelled" ? `cancelled by ${entry.cancelledBy}` : "";
      const problem = after.error === undefined ? cancelled : `${after.error.code}: ${after.error.message}`;
      const counts = JSON.stringify({ done: String(done), skipped: String(skipped), failed: String(failed) });
      await noted({ outcome, problem, afterJson: compared ? await describeTarget(brokers, topic, group) : counts });
    };
  }

  function find(jobId: string): Entry {
    const entry = entries.get(jobId);
    if (entry === undefined) throw new GmqError("invalid_argument", `there is no job ${jobId}`, { field: "job_id" });
    return entry;
  }

  const active = (): PortalJob[] =>
    [...entries.values()].filter(({ stop }) => stop !== undefined).map(({ job }) => job);

  function checkRoom(): void {
    if (closing || active().length < jobBounds.active) return;
    throw new GmqError("resource_exhausted", "the portal is busy with other jobs", {
      limit: `${jobBounds.active} jobs`,
    });
  }

  async function forgetOld(): Promise<void> {
    const jobs = [...entries.values()].filter(({ stop }) => stop === undefined).map(({ job }) => job);
    for (const { jobId } of removable(jobs)) {
      await find(jobId).files.remove();
      entries.delete(jobId);
    }
  }

  return {
    kept: store.kept,
    async start(request, work, caller, role) {
      if (request.delayMs > jobBounds.delayMs) {
        throw new GmqError("invalid_argument", `delay_ms is ${request.delayMs}`, {
          field: "delay_ms",
          limit: `0 to ${jobBounds.delayMs} ms`,
        });
      }
      checkRoom();
      const now = Date.now();
      const job = create(PortalJobSchema, {
        jobId: caller.requestId,
        action: work.action,
        title: work.title,
        actor: caller.actor,
        topic: work.topic,
        group: work.group,
        state: request.delayMs > 0 ? JobState.WAITING : JobState.RUNNING,
        createdAtMs: BigInt(now),
        startsAtMs: BigInt(now + request.delayMs),
        total: -1n,
        notResumable: work.notResumable,
        fileName: work.fileName,
        dryRun: work.dryRun,
        role,
      });
      const files = await store.create(job, request);
      const base = { job: { ...job }, outcomesBytes: 0 };
      const entry: Entry = {
        job,
        request,
        files,
        checkpoint: "",
        outcomesBytes: 0,
        base,
        cancelledBy: "",
        stop: undefined,
        running: undefined,
      };
      entries.set(job.jobId, entry);
      launch(entry, work, caller.actor);
      await forgetOld();
      return entry.job;
    },
    list: () => [...entries.values()].map(({ job }) => job).reverse(),
    active,
    async get({ jobId, after, limit, outcome }) {
      const { job, files, outcomesBytes } = find(jobId);
      const all = await files.outcomes(outcomesBytes);
      const wanted = all.filter((one) => outcome === "" || one.outcome === outcome).slice(after);
      const size = limitOf(limit);
      return { job, outcomes: wanted.slice(0, size), more: wanted.length > size };
    },
    async cancel(jobId, caller) {
      const entry = find(jobId);
      if (entry.stop === undefined) throw new GmqError("conflict", "the job has ended already", { field: "job_id" });
      entry.cancelledBy = caller.actor;
      entry.stop.abort();
      await entry.running;
      return entry.job;
    },
    async resume(jobId, caller) {
      const entry = find(jobId);
      const { job } = entry;
      if (entry.stop !== undefined || job.state === JobState.DONE) {
        throw new GmqError("conflict", "the job runs or is done", { field: "job_id" });
      }
      if (job.notResumable !== "") throw new GmqError("conflict", job.notResumable, { field: "job_id" });
      checkRoom();
      // What was done after the checkpoint is done again, and stored once.
      const { job: figures, outcomesBytes } = entry.base;
      entry.job = { ...figures, state: JobState.RUNNING, startsAtMs: BigInt(Date.now()), endedAtMs: 0n };
      entry.outcomesBytes = outcomesBytes;
      launch(entry, workOf(entry.request), caller.actor);
      return entry.job;
    },
    find: (jobId) => find(jobId).job,
    workOf: (jobId) => workOf(find(jobId).request),
    async readFile(jobId, offset) {
      const { job, files } = find(jobId);
      if (job.fileBytes === 0n) throw new GmqError("invalid_argument", "the job has no file", { field: "job_id" });
      const length = Math.min(pieceBytes, Number(job.fileBytes - offset));
      if (offset < 0n || length <= 0) return { piece: new Uint8Array(), nextOffset: -1n };
      const piece = await files.read(Number(offset), length);
      const nextOffset = offset + BigInt(piece.length);
      return { piece, nextOffset: nextOffset >= job.fileBytes || piece.length === 0 ? -1n : nextOffset };
    },
    async close() {
      closing = true;
      for (const { stop } of entries.values()) stop?.abort();
      await Promise.all([...entries.values()].flatMap(({ running }) => running ?? []));
    },
  };
}

function outcomeOf({ state, done }: PortalJob): "done" | "refused" | "failed" | "cancelled" | "unknown" {
  if (state === JobState.DONE) return "done";
  if (state === JobState.CANCELLED) return "cancelled";
  if (state === JobState.INTERRUPTED) return "unknown";
  return done > 0n ? "failed" : "refused";
}

/** The request as the audit keeps it: without the bytes of files, and of a topic that is masked for somebody without any. */
function shownRequest({ work, delayMs }: PortalServiceStartJobRequest, isMasked: boolean): string {
  const hide = (_name: string, value: unknown): unknown => {
    if (typeof value === "bigint") return String(value);
    if (value instanceof Uint8Array)
      return isMasked || value.length > 512 ? `${value.length} bytes` : Buffer.from(value).toString();
    return value;
  };
  return JSON.stringify({ [work.case ?? "work"]: work.value, ...(delayMs > 0 ? { delayMs } : {}) }, (name, value) =>
    name === "$typeName" || name === "$unknown" ? undefined : hide(name, value),
  );
}
