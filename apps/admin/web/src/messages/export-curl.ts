import { create, toJson } from "@bufbuild/protobuf";
import { PortalServiceStartJobRequestSchema } from "@gmq/protocol/messages";
import type { JobRequest } from "../jobs/use-job.js";
import { curlOf, quote } from "../parts/copy-as.js";

/** An export from a shell: starts the job, waits for its end and puts the file together from its pieces, which come as base64. */
export function exportCurl(request: JobRequest, fileName: string): string {
  const asked = toJson(PortalServiceStartJobRequestSchema, create(PortalServiceStartJobRequestSchema, request));
  const call = (method: string, json: string): string =>
    `curl -s -H 'content-type: application/json' ${quote(`${location.origin}/gmq.v1.PortalService/${method}`)} -d "${json.replaceAll('"', '\\"')}"`;
  return `job=$(${curlOf("PortalService/StartJob", asked).replace("curl ", "curl -s ")} | sed -n 's/.*"jobId":"\\([^"]*\\)".*/\\1/p')
until ${call("GetJob", '{"jobId":"$job"}')} | grep -qE '_(DONE|FAILED|CANCELLED|INTERRUPTED)"|"code"'; do sleep 1; done
offset=0
while [ -n "$offset" ] && [ "$offset" != -1 ]; do
  answer=$(${call("ReadJobFile", '{"jobId":"$job","offset":"$offset"}')})
  printf %s "$answer" | sed -n 's/.*"piece":"\\([^"]*\\)".*/\\1/p' | base64 -d
  offset=$(printf %s "$answer" | sed -n 's/.*"nextOffset":"\\([-0-9]*\\)".*/\\1/p')
done > ${quote(fileName)}`;
}
