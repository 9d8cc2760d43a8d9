import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { GmqError } from "@gmq/protocol";
import type { PortalService, PortalServiceStartJobRequest } from "@gmq/protocol/messages";
import { type PortalRole, portalCallerOf, portalRole } from "../access/roles.js";
import type { AuditedWrites } from "../calls/audited-write.js";
import type { Brokers } from "../calls/brokers.js";
import type { RequestGuard } from "../calls/request-guard.js";
import { checkKeyFilter } from "../masking/key-filter.js";
import type { MaskingRules } from "../masking/masking-rules.js";
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
  masking: MaskingRules,
  guard: RequestGuard,
  auditedWrites: AuditedWrites,
): JobCalls {
  const allow = (work: JobWork, context: HandlerContext) => auditedWrites.allow(work, context);
  return {
    async startJob(request, context) {
      guard.check(context);
      const work = workOf(request);
      const role = portalCallerOf(context)?.role;
      checkMasked(masking, request, role);
      return { job: await jobs.start(request, work, allow(work, context), role ?? "") };
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
      const { topic, role } = jobs.find(jobId);
      if (!masking.isCoveredBy(topic, portalCallerOf(context)?.role, portalRole(role))) {
        throw new GmqError(
          "permission_denied",
          `the file has fields of ${topic} that are masked for you: export it anew`,
          {
            field: "job_id",
          },
        );
      }
      return await jobs.readFile(jobId, offset);
    },
    async checkLines(request, context) {
      guard.check(context);
      return await checkLines(brokers, request);
    },
  };
}

/** What somebody sees masked he may not copy to where it may be in the clear, nor store with the mask in place of what was. @throws GmqError `permission_denied` */
function checkMasked(
  masking: MaskingRules,
  { work }: PortalServiceStartJobRequest,
  role: PortalRole | undefined,
): void {
  if (work.case === "redrive") checkKeyFilter(masking, role, work.value.topic, work.value.filter);
  const topic =
    work.case === "republish" ? work.value.search?.topic : work.case === "editedLetter" ? work.value.topic : "";
  if (topic === undefined || topic === "" || masking.fieldsOf(topic, role) === undefined) return;
  throw new GmqError(
    "permission_denied",
    `fields of ${topic} are masked for you, so its records can be neither copied nor edited`,
    {
      field: "topic",
    },
  );
}
