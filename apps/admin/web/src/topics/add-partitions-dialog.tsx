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

/** Gives a topic more partitions, after the broker has said which keys move. */
export function AddPartitionsDialog({
  topic,
  onClose,
}: {
  readonly topic: TopicInfo;
  readonly onClose: () => void;
}): ReactNode {
  const queries = useQueryClient();
  const [now] = useState(topic.config?.partitions ?? 0);
  const [wanted, setWanted] = useState("");
  const request = { topic: topic.name, partitions: Number(wanted) };
  const preview = useMutation({ mutationFn: () => admin.addPartitions({ ...request, dryRun: true }) });
  const add = useMutation({
    mutationFn: () => admin.addPartitions(request),
    onSuccess: async () => {
      say(`${topic.name} has ${wanted} partitions`);
      await queries.invalidateQueries({ queryKey: ["topic", topic.name] });
      onClose();
    },
  });
  return (
    <Dialog title={`Add partitions to ${topic.name}`} onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          preview.mutate();
        }}
      >
        <Field label="Partitions there shall be" hint={`Now ${now}. They cannot be taken away again.`}>
          {(ids) => (
            <input
              {...ids}
              required
              type="number"
              min={now + 1}
              max={4096}
              className={inputLook("w-32")}
              value={wanted}
              onChange={(event) => {
                setWanted(event.target.value);
                preview.reset();
              }}
            />
          )}
        </Field>
        {preview.data !== undefined && (
          <p role="status" className="rounded-lg bg-warn-soft px-4 py-2.5 text-[13px] text-warn">
            {preview.data.warning}
          </p>
        )}
        {preview.error !== null && <ProblemNotice error={preview.error} />}
        {add.error !== null && <ProblemNotice error={add.error} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyAs
            gmq={`gmq topics add-partitions ${quote(topic.name)} --to ${wanted === "" ? now + 1 : wanted}`}
            curl={curlOf("AdminService/AddPartitions", request)}
          />
          <Button onClick={onClose}>Cancel</Button>
          {preview.data === undefined ? (
            <Button type="submit" disabled={preview.isPending}>
              Show what it means
            </Button>
          ) : (
            <Button look="primary" disabled={add.isPending} onClick={() => add.mutate()}>
              {add.isPending ? "Adding…" : "Add them"}
            </Button>
          )}
        </div>
      </form>
    </Dialog>
  );
}
