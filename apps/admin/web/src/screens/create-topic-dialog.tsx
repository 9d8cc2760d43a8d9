import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook } from "../parts/field.js";
import { ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { admin, problemOf } from "../rpc.js";

/** Makes a topic and goes to its page. What was refused is said at its field. */
export function CreateTopicDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [partitions, setPartitions] = useState("");
  const mutation = useMutation({
    mutationFn: () => admin.createTopic({ topic: name, config: { partitions: Number(partitions) } }),
    onSuccess: () => {
      say(`Created topic ${name}`);
      void navigate({ to: "/topics/$topic", params: { topic: name } });
    },
  });
  const problem = mutation.error === null ? undefined : problemOf(mutation.error);
  const atField = (field: string): string | undefined =>
    problem?.field === field ? `${problem.message}${problem.limit === "" ? "" : ` (${problem.limit})`}` : undefined;

  return (
    <Dialog title="Create a topic" onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          mutation.mutate();
        }}
      >
        <Field label="Name" hint="Letters, digits, dot, dash and underscore" problem={atField("topic")}>
          {(ids) => (
            <input
              {...ids}
              required
              autoComplete="off"
              spellCheck={false}
              className={`${inputLook()} font-mono`}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Field
          label="Partitions"
          hint="Empty: the broker's default. More partitions let more consumers of a group work at once."
          problem={atField("partitions")}
        >
          {(ids) => (
            <input
              {...ids}
              type="number"
              min={1}
              max={4096}
              className={inputLook("w-32")}
              value={partitions}
              onChange={(event) => setPartitions(event.target.value)}
            />
          )}
        </Field>
        {mutation.error !== null && atField("topic") === undefined && atField("partitions") === undefined && (
          <ProblemNotice error={mutation.error} />
        )}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyAs
            gmq={`gmq topics create ${quote(name)}${partitions === "" ? "" : ` --partitions ${partitions}`}`}
            curl={curlOf("AdminService/CreateTopic", { topic: name, config: { partitions: Number(partitions) } })}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={name === "" || mutation.isPending}>
            {mutation.isPending ? "Creating…" : "Create"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
