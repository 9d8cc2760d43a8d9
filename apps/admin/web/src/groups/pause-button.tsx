import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { admin } from "../rpc.js";

/** Stops delivery to a group, or lets it go on. Pausing is asked for once more: it stops work. */
export function PauseButton({ group, paused }: { readonly group: string; readonly paused: boolean }): ReactNode {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const change = useMutation({
    mutationFn: async () => {
      if (paused) await admin.resumeGroup({ group });
      else await admin.pauseGroup({ group });
    },
    onSuccess: async () => {
      say(paused ? `${group} goes on` : `Paused ${group}`);
      setAsking(false);
      await queries.invalidateQueries({ queryKey: ["group", group] });
    },
    onError: () => setAsking(true),
  });
  return (
    <>
      <Button disabled={change.isPending} onClick={() => (paused ? change.mutate() : setAsking(true))}>
        {paused ? "Resume" : "Pause…"}
      </Button>
      {asking && (
        <Dialog title={paused ? `Resume ${group}` : `Pause ${group}`} onClose={() => setAsking(false)}>
          <div className="flex flex-col gap-4 text-[13px]">
            {!paused && (
              <p>
                Nothing more is delivered until the group is resumed. What its consumers hold they may still settle; its
                place is kept.
              </p>
            )}
            {change.error !== null && <ProblemNotice error={change.error} />}
            <div className="flex flex-wrap justify-end gap-2">
              <CopyAs
                gmq={`gmq groups ${paused ? "resume" : "pause"} ${quote(group)}`}
                curl={curlOf(`AdminService/${paused ? "Resume" : "Pause"}Group`, { group })}
              />
              <Button onClick={() => setAsking(false)}>Cancel</Button>
              <Button look="primary" disabled={change.isPending} onClick={() => change.mutate()}>
                {paused ? "Resume the group" : "Pause the group"}
              </Button>
            </div>
          </div>
        </Dialog>
      )}
    </>
  );
}
