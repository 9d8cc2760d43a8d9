/**
 * Jobs on disk: `<data>/jobs/<id>/` holds the request as it was asked, the state as it was last saved, one JSON line an outcome, and what an export wrote.
 * A state is written beside the old one and renamed over it, and says how much of the other files it vouches for: what a crash left beyond that is cut off.
 */
import { appendFile, mkdir, mkdtemp, open, readdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import type { Logger } from "@gmq/log";
import { GmqError } from "@gmq/protocol";
import {
  type PortalJob,
  PortalJobSchema,
  type PortalServiceStartJobRequest,
  PortalServiceStartJobRequestSchema,
} from "@gmq/protocol/messages";

/** A job as it was saved. */
export interface SavedJob {
  readonly job: PortalJob;
  readonly request: PortalServiceStartJobRequest;
  /** Where a resumed run goes on; "" at the beginning. */
  readonly checkpoint: string;
  readonly outcomesBytes: number;
  /** Figures and outcomes as they were at the checkpoint: what came later is done again. */
  readonly base: Base;
}

/** What a checkpoint vouches for. */
export interface Base {
  readonly job: PortalJob;
  readonly outcomesBytes: number;
}

/** One line of the outcomes. */
export interface SavedOutcome {
  readonly item: string;
  readonly outcome: "done" | "skipped" | "failed";
  readonly detail: string;
}

/** Files of one job. */
export interface JobFiles {
  save(job: PortalJob, checkpoint: string, outcomesBytes: number, base: Base): Promise<void>;
  /** Adds outcomes; resolves with the bytes that the file has then. */
  append(lines: readonly SavedOutcome[], bytes: number): Promise<number>;
  outcomes(bytes: number): Promise<SavedOutcome[]>;
  /** Adds to the file of an export, right behind `bytes`. */
  write(piece: Uint8Array, bytes: number): Promise<void>;
  read(offset: number, length: number): Promise<Uint8Array>;
  remove(): Promise<void>;
}

/** All jobs of a portal. */
export interface JobStore {
  /** True: they outlive the portal. */
  readonly kept: boolean;
  load(): Promise<SavedJob[]>;
  create(job: PortalJob, request: PortalServiceStartJobRequest): Promise<JobFiles>;
  files(jobId: string): JobFiles;
  close(): Promise<void>;
}

interface State {
  readonly job: JsonValue;
  readonly checkpoint: string;
  readonly outcomesBytes: number;
  readonly base: { readonly job: JsonValue; readonly outcomesBytes: number };
}

/** Opens the folder. Without `data` jobs are in a temporary folder that goes with the portal. @throws GmqError `invalid_argument` (field `data`) */
export async function openJobStore(data: string | undefined, logger: Logger): Promise<JobStore> {
  let folder = data === undefined ? undefined : join(data, "jobs");
  if (folder !== undefined) {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new GmqError("invalid_argument", `jobs cannot be kept in ${folder}: ${String(cause)}`, {
        field: "data",
        cause,
      });
    }
  }

  async function loadOne(folder: string, jobId: string): Promise<SavedJob | undefined> {
    try {
      const state = JSON.parse(await readFile(join(folder, jobId, "state.json"), "utf8")) as State;
      const request = fromBinary(
        PortalServiceStartJobRequestSchema,
        await readFile(join(folder, jobId, "request.bin")),
      );
      const jobOf = (json: JsonValue): PortalJob => fromJson(PortalJobSchema, json, { ignoreUnknownFields: true });
      const base = { job: jobOf(state.base.job), outcomesBytes: state.base.outcomesBytes };
      return { job: jobOf(state.job), request, checkpoint: state.checkpoint, outcomesBytes: state.outcomesBytes, base };
    } catch (error) {
      logger.warn("a job cannot be read and is left out", { jobId, error });
      return undefined;
    }
  }

  return {
    kept: data !== undefined,
    async load() {
      const kept = folder;
      if (kept === undefined) return [];
      const names = (await readdir(kept)).filter((name) => /^[0-9a-z-]{8,64}$/.test(name));
      const jobs = await Promise.all(names.map((name) => loadOne(kept, name)));
      return jobs.filter((job) => job !== undefined);
    },
    async create(job, request) {
      // Not before there is a job: a portal that is killed leaves nothing behind then.
      folder ??= await mkdtemp(join(tmpdir(), "gmq-portal-jobs-"));
      await mkdir(join(folder, job.jobId), { mode: 0o700 });
      await writeFile(join(folder, job.jobId, "request.bin"), toBinary(PortalServiceStartJobRequestSchema, request), {
        mode: 0o600,
      });
      const files = createFiles(join(folder, job.jobId));
      await files.save(job, "", 0, { job, outcomesBytes: 0 });
      return files;
    },
    files: (jobId) => createFiles(join(folder ?? "", jobId)),
    async close() {
      if (data === undefined && folder !== undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

function createFiles(folder: string): JobFiles {
  const outcomesPath = join(folder, "outcomes.jsonl");
  const filePath = join(folder, "file");
  return {
    async save(job, checkpoint, outcomesBytes, base) {
      const state: State = {
        job: toJson(PortalJobSchema, job),
        checkpoint,
        outcomesBytes,
        base: { job: toJson(PortalJobSchema, base.job), outcomesBytes: base.outcomesBytes },
      };
      const path = join(folder, "state.json");
      await writeFile(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
    async append(lines, bytes) {
      if (lines.length === 0) return bytes;
      await cutTo(outcomesPath, bytes);
      const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
      await appendFile(outcomesPath, text, { mode: 0o600 });
      return bytes + Buffer.byteLength(text);
    },
    async outcomes(bytes) {
      if (bytes === 0) return [];
      const text = (await readFile(outcomesPath)).subarray(0, bytes).toString("utf8");
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as SavedOutcome);
    },
    async write(piece, bytes) {
      await cutTo(filePath, bytes);
      await appendFile(filePath, piece, { mode: 0o600 });
    },
    async read(offset, length) {
      const handle = await open(filePath, "r");
      try {
        const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, offset);
        return buffer.subarray(0, bytesRead);
      } finally {
        await handle.close();
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Cuts off what is beyond; a file that is not there yet is as long as nothing. */
async function cutTo(path: string, bytes: number): Promise<void> {
  const handle = await open(path, "a", 0o600);
  const { size } = await handle.stat();
  await handle.close();
  if (size > bytes) await truncate(path, bytes);
}
