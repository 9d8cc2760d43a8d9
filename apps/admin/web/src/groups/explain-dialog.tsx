import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { curlOf, quote, Snippet } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { Loading, ProblemNotice } from "../parts/notice.js";
import { Badge } from "../parts/panel.js";
import { admin } from "../rpc.js";

interface ExplainDialogProps {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly onClose: () => void;
}

const fine = new Set(["caught_up", "moving", "in_flight"]);

/** Why a group is where it is in a partition, as its broker explains it. */
export function ExplainDialog({ group, topic, partition, onClose }: ExplainDialogProps): ReactNode {
  const explained = useQuery({
    queryKey: ["explain", group, topic, partition],
    queryFn: ({ signal }) => admin.explainGroup({ group, topic, partition }, { signal }),
    refetchInterval: 2_000,
  });
  return (
    <Dialog title={`Why ${group} is where it is in ${topic} / ${partition}`} onClose={onClose} wide>
      {explained.error !== null && <ProblemNotice error={explained.error} />}
      {explained.isPending && <Loading what="the explanation" />}
      <ul className="m-0 mb-4 flex list-none flex-col gap-2.5 p-0 text-[13px]">
        {explained.data?.conditions.map(({ code, text }) => (
          <li key={code} className="flex flex-wrap items-baseline gap-2">
            <Badge tone={fine.has(code) ? "good" : "warn"}>{code.replaceAll("_", " ")}</Badge>
            <span className="min-w-0 flex-1 basis-64 wrap-anywhere">{text}</span>
          </li>
        ))}
      </ul>
      <div className="flex flex-col gap-3">
        <Snippet
          name="gmq"
          text={`gmq groups explain ${quote(group)} --topic ${quote(topic)} --partition ${partition}`}
        />
        <Snippet name="curl" text={curlOf("AdminService/ExplainGroup", { group, topic, partition })} />
      </div>
    </Dialog>
  );
}
