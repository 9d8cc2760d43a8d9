import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { PortalService } from "@gmq/protocol/messages";
import type { AuditedWrites } from "../calls/audited-write.js";
import type { Brokers } from "../calls/brokers.js";
import type { RequestGuard } from "../calls/request-guard.js";
import type { JobWork } from "./job-run.js";
import { workOf } from "./job-work.js";
import type { Jobs } from "./jobs.js";
import { checkLines } from "./produce-job.js";

type JobCalls = Pick<
  ServiceImpl<typeof PortalService>,
  "startJob" | "listJobs" | "getJob" | "cancelJob" | "resumeJob" | "readJobFile" | "checkLines"
>;

/** The part of PortalService that is about jobs. Whoever may do an act may start, cancel and resume its job. */
export function createJobCalls(
  jobs: Jobs,
  brokers: Brokers,
  guard: RequestGuard,
  auditedWrites: AuditedWrites,
): JobCalls {
  const allow = (work: JobWork, context: HandlerContext) => auditedWrites.allow(work, context);
  return {
    async startJob(request, context) {
      guard.check(context);
      const work = workOf(request);
      return { job: await jobs.start(request, work, allow(work, context)) };
    },
    async listJobs(_request, context) {
      guard.check(context);
      return { jobs: [...jobs.list()], kept: jobs.kept };
    },
    async getJob(request, context) {
      guard.check(context);
      return await jobs.get(request);
    },
    async cancelJob({ jobId }, context) {
      guard.check(context);
      return { job: await jobs.cancel(jobId, allow(jobs.workOf(jobId), context)) };
    },
    async resumeJob({ jobId }, context) {
      guard.check(context);
      return { job: await jobs.resume(jobId, allow(jobs.workOf(jobId), context)) };
    },
    async readJobFile({ jobId, offset }, context) {
      guard.check(context);
      return await jobs.readFile(jobId, offset);
    },
    async checkLines(request, context) {
      guard.check(context);
      return await checkLines(brokers, request);
    },
  };
}
