import { GmqError } from "@gmq/protocol";
import type { PortalServiceStartJobRequest } from "@gmq/protocol/messages";
import { exportJob } from "./export-job.js";
import { editedLetterJob, redriveJob, resetJob } from "./group-jobs.js";
import type { JobWork } from "./job-run.js";
import { produceJob } from "./produce-job.js";
import { republishJob } from "./republish-job.js";
import { changeTopicsJob, purgeJob } from "./topic-jobs.js";

/** What a request asks for. @throws GmqError `invalid_argument` */
export function workOf({ work }: PortalServiceStartJobRequest): JobWork {
  switch (work.case) {
    case "purge":
      return purgeJob(work.value);
    case "reset":
      return resetJob(work.value);
    case "redrive":
      return redriveJob(work.value);
    case "editedLetter":
      return editedLetterJob(work.value);
    case "republish":
      return republishJob(work.value);
    case "produceLines":
      return produceJob(work.value);
    case "export":
      return exportJob(work.value);
    case "changeTopics":
      return changeTopicsJob(work.value);
    case undefined:
      throw new GmqError("invalid_argument", "no work is named", { field: "work" });
  }
}
