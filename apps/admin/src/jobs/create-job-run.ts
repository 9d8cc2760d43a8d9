import { GmqError } from "@gmq/protocol";
import type { PortalJob } from "@gmq/protocol/messages";
import type { Brokers } from "../calls/brokers.js";
import { jobBounds } from "./job-bounds.js";
import type { ItemOutcome, JobRun } from "./job-run.js";
import type { Base, JobFiles, SavedOutcome } from "./job-store.js";

const saveIntervalMs = 1_000;

/** What a run changes. */
export interface RunState {
  job: PortalJob;
  readonly files: JobFiles;
  checkpoint: string;
  outcomesBytes: number;
  base: Base;
}

/** A run with the end that its owner gives it. */
export interface RunningJob extends JobRun {
  /** Saves the outcomes that were noted since the last save. */
  finish(): Promise<void>;
}

/** Makes what a job is given while it runs. */
export function createJobRun(state: RunState, brokers: Brokers, signal: AbortSignal): RunningJob {
  // The run's own copy: pages see it as it stands.
  const job: PortalJob = { ...state.job };
  state.job = job;
  let fresh: SavedOutcome[] = [];
  let turn: Promise<void> = Promise.resolve();
  let failure: GmqError | undefined;

  function count(outcome: ItemOutcome, items: number): void {
    state.job[outcome] += BigInt(items);
  }

  async function keepOutcomes(): Promise<void> {
    const lines = fresh;
    fresh = [];
    state.outcomesBytes = await state.files.append(lines, state.outcomesBytes);
  }

  async function persist(): Promise<void> {
    await keepOutcomes();
    await state.files.save(state.job, state.checkpoint, state.outcomesBytes, state.base);
  }

  /** One write of the job's files at a time. */
  function inTurn(act: () => Promise<void>): Promise<void> {
    const done = turn.then(act);
    turn = done.catch((error: unknown) => {
      failure ??= GmqError.from(error);
    });
    return done;
  }
  // Between checkpoints too, so that a job that was cut off shows how far it was.
  const timer = setInterval(() => void inTurn(persist).catch(toldBySave), saveIntervalMs);

  return {
    jobId: job.jobId,
    brokers,
    signal,
    checkpoint: state.checkpoint,
    get job() {
      return state.job;
    },
    note(outcome, item, detail = "") {
      count(outcome, 1);
      const kept = outcome === "done" ? state.job.done : state.job.skipped + state.job.failed;
      if (kept > BigInt(jobBounds.outcomes)) state.job.outcomesLeftOut++;
      else {
        fresh.push({ item, outcome, detail });
        state.job.outcomes++;
      }
    },
    count,
    async write(piece) {
      if (piece.length === 0) return;
      await state.files.write(piece, Number(state.job.fileBytes));
      state.job.fileBytes += BigInt(piece.length);
    },
    async save(checkpoint) {
      await inTurn(async () => {
        if (failure !== undefined) throw failure;
        await keepOutcomes();
        state.checkpoint = checkpoint;
        state.base = { job: { ...state.job }, outcomesBytes: state.outcomesBytes };
        await state.files.save(state.job, checkpoint, state.outcomesBytes, state.base);
      });
    },
    async finish() {
      clearInterval(timer);
      await inTurn(keepOutcomes);
    },
  };
}

function toldBySave(_error: unknown): void {
  // The next save throws it: a job whose figures cannot be kept does not go on.
}
