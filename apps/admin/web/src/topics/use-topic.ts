import type { AdminServiceDescribeTopicResponse } from "@gmq/protocol/messages";
import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { orNotThere } from "../parts/not-there.js";
import { admin } from "../rpc.js";

/** A topic as a broker describes it, null when there is none; asked again every `refreshMs`, once for all who ask on a page. */
export function useTopic(topic: string, refreshMs: number): UseQueryResult<AdminServiceDescribeTopicResponse | null> {
  return useQuery({
    queryKey: ["topic", topic],
    queryFn: ({ signal }) => orNotThere(admin.describeTopic({ topic }, { signal })),
    refetchInterval: refreshMs,
  });
}
