import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  JobState,
  type PortalJob,
  type PortalServiceGetJobResponse,
  type PortalServiceStartJobRequestSchema,
} from "@gmq/protocol/messages";
import { useMutation, useQuery } from "@tanstack/react-query";
import { portal } from "../rpc.js";

/** What a job is asked to do. */
export type JobRequest = MessageInitShape<typeof PortalServiceStartJobRequestSchema>;

/** A job that a dialog has started, and how far it is. */
export interface StartedJob {
  readonly job: PortalJob | undefined;
  /** Items that went wrong or were passed over, the first 100. */
  readonly notDone: PortalServiceGetJobResponse["outcomes"];
  /** Why it could not be started, or cannot be looked at; what ended the job itself is in `job`. */
  readonly error: Error | null;
  readonly isActive: boolean;
  start(request: JobRequest): void;
  cancel(): void;
  /** Forgets it; it goes on. */
  reset(): void;
}

const lookMs = 400;

/** True while a job waits or runs. */
export function isActive({ state }: Pick<PortalJob, "state">): boolean {
  return state === JobState.WAITING || state === JobState.RUNNING;
}

/** Starts a job and follows it. It goes on when the page is left: the list of jobs has it. */
export function useStartedJob(): StartedJob {
  const starting = useMutation({ mutationFn: (request: JobRequest) => portal.startJob(request) });
  const jobId = starting.data?.job?.jobId ?? "";
  const looked = useQuery({
    queryKey: ["job", jobId, "not done"],
    queryFn: async ({ signal }) => {
      const [failed, skipped] = await Promise.all([
        portal.getJob({ jobId, outcome: "failed" }, { signal }),
        portal.getJob({ jobId, outcome: "skipped" }, { signal }),
      ]);
      // Of two looks the later one is the truth.
      return { job: skipped.job, notDone: [...failed.outcomes, ...skipped.outcomes].slice(0, 100) };
    },
    enabled: jobId !== "",
    refetchInterval: ({ state: { data } }) => (data?.job !== undefined && !isActive(data.job) ? false : lookMs),
  });
  const cancelling = useMutation({
    mutationFn: () => portal.cancelJob({ jobId }),
    onSettled: () => looked.refetch(),
  });
  const job = looked.data?.job ?? starting.data?.job;
  return {
    job,
    notDone: looked.data?.notDone ?? [],
    error: starting.error ?? cancelling.error ?? (job === undefined ? looked.error : null),
    isActive: starting.isPending || (job !== undefined && isActive(job)),
    start: (request) => starting.mutate(request),
    cancel: () => cancelling.mutate(),
    reset: starting.reset,
  };
}
