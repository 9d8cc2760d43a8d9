import type { TopicInfo } from "@gmq/protocol/messages";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook } from "../parts/field.js";
import { ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { admin } from "../rpc.js";
import { configChanges } from "./config-rows.js";

const hourMs = 3_600_000;
const bounds = [
  ["hours", "Kept for, hours", "Older records may go"],
  ["bytes", "Kept bytes per partition", "The oldest go first; the last batch always stays"],
  ["records", "Kept records per partition", "The oldest go first"],
  ["bytesMax", "Budget of the topic, bytes", "Above it producers are refused until there is room"],
] as const;

/** Changes what a topic keeps. It is made for the version that was shown: somebody else's change in between is not overwritten. */
export function AlterTopicDialog({
  topic,
  onClose,
}: {
  readonly topic: TopicInfo;
  readonly onClose: () => void;
}): ReactNode {
  const queries = useQueryClient();
  const { retention, bytesMax = 0n, partitions = 0 } = topic.config ?? {};
  // As it was when the dialog opened; the page behind goes on refreshing.
  const [version] = useState(topic.version);
  const [before] = useState(topic.config);
  const [typed, setTyped] = useState({
    hours: shown(Number(retention?.ms ?? 0n) / hourMs),
    bytes: shown(retention?.bytes ?? 0n),
    records: shown(retention?.records ?? 0n),
    bytesMax: shown(bytesMax),
  });
  const [workQueue, setWorkQueue] = useState(retention?.workQueue ?? false);
  // What is no number yet is refused by its field.
  const retentionMs = BigInt(Math.round((Number(typed.hours) || 0) * hourMs));
  const request = {
    topic: topic.name,
    version,
    config: {
      partitions,
      bytesMax: whole(typed.bytesMax),
      retention: { ms: retentionMs, bytes: whole(typed.bytes), records: whole(typed.records), workQueue },
    },
  };
  const changes = configChanges(before, request.config);
  const alter = useMutation({
    mutationFn: () => admin.alterTopic(request),
    onSuccess: async () => {
      say(`Changed ${topic.name}`);
      await queries.invalidateQueries({ queryKey: ["topic", topic.name] });
      onClose();
    },
  });
  return (
    <Dialog title={`Change ${topic.name}`} onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          alter.mutate();
        }}
      >
        {bounds.map(([name, label, hint]) => (
          <Field key={name} label={label} hint={`${hint}. Empty: no bound.`}>
            {(ids) => (
              <input
                {...ids}
                inputMode="numeric"
                title={name === "hours" ? "A number, for example 0.5" : "A whole number"}
                pattern={name === "hours" ? "[0-9]{0,9}(\\.[0-9]{0,6})?" : "[0-9]{0,18}"}
                className={inputLook("w-56")}
                value={typed[name]}
                onChange={(event) => setTyped({ ...typed, [name]: event.target.value })}
              />
            )}
          </Field>
        ))}
        <label className="inline-flex min-h-6 items-center gap-2 text-[13px]">
          <input
            type="checkbox"
            className="size-4"
            checked={workQueue}
            onChange={(event) => setWorkQueue(event.target.checked)}
          />
          A record goes once every group has settled it
        </label>
        {changes.length > 0 && (
          <ul aria-label="What changes" className="m-0 list-none rounded-lg bg-raised px-4 py-2.5 text-[13px]">
            {changes.map((change) => (
              <li key={change}>{change}</li>
            ))}
          </ul>
        )}
        <p className="text-xs text-warn">
          A tighter bound deletes what lies beyond it, also what a group has not settled.
        </p>
        {alter.error !== null && <ProblemNotice error={alter.error} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyAs
            gmq={`gmq topics alter ${quote(topic.name)} --retention-ms ${retentionMs} --retention-bytes ${whole(typed.bytes)} --retention-records ${whole(typed.records)} --bytes-max ${whole(typed.bytesMax)} ${workQueue ? "--work-queue" : "--no-work-queue"}`}
            curl={curlOf("AdminService/AlterTopic", request)}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={alter.isPending}>
            {alter.isPending ? "Changing…" : "Change"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function shown(bound: bigint | number): string {
  return Number(bound) === 0 ? "" : String(bound);
}

function whole(text: string): bigint {
  return /^\d{1,18}$/.test(text) ? BigInt(text) : 0n;
}
