import { create } from "@bufbuild/protobuf";
import { AdminServiceSettlePendingRequestSchema, PendingAction, type PendingOutcome } from "@gmq/protocol/messages";
import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook } from "../parts/field.js";
import { counted, formatCount } from "../parts/format.js";
import { ProblemNotice } from "../parts/notice.js";
import { Badge } from "../parts/panel.js";
import { portal } from "../rpc.js";
import { offsetList } from "./offset-list.js";

/** What may be done with records that a group was given. */
export type SettleAct = "ack" | "retry" | "deadLetter" | "claim";

interface SettleDialogProps {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly act: SettleAct;
  readonly offsets: readonly bigint[];
  readonly onClose: () => void;
}

interface Act {
  readonly action: PendingAction;
  readonly verb: string;
  readonly done: string;
  readonly means: string;
  /** As `gmq groups settle --as` names it. */
  readonly word: string;
  /** Why some could not be. */
  readonly others: string;
}

const acts: Readonly<Record<SettleAct, Act>> = {
  ack: {
    action: PendingAction.ACK,
    verb: "Ack",
    done: "acked",
    word: "ack",
    others: "the others are settled by now",
    means:
      "what is acked counts as done, and the group never gets it again. A consumer that works on it now finds its result accepted, and nothing changed by it.",
  },
  retry: {
    action: PendingAction.RETRY,
    verb: "Retry now",
    done: "delivered again",
    word: "retry",
    others: "the others are settled by now",
    means:
      "what waits for its retry time is delivered at once. It costs no attempt. What a consumer works on now is left alone.",
  },
  deadLetter: {
    action: PendingAction.DEAD_LETTER,
    verb: "Dead-letter",
    done: "dead-lettered",
    word: "dead-letter",
    others: "the others are settled by now",
    means: "what is given up goes as a copy to the group's dead-letter topic, from where it can be redriven.",
  },
  claim: {
    action: PendingAction.CLAIM,
    verb: "Claim",
    done: "claimed",
    word: "claim",
    others: "the others are settled by now, or wait for a retry, or nobody else at that broker could take them",
    means:
      "what is claimed is taken from the consumer that has it and given to another one. It costs no attempt. What the first says of it later is refused, and it gets nothing new until it settles something.",
  },
};

/** Settles records in place of the consumer that has them. First it is only asked which could be; then what moved on meanwhile is refused by itself. */
export function SettleDialog({ group, topic, partition, act, offsets: chosen, onClose }: SettleDialogProps): ReactNode {
  // As it was opened: the list behind goes on, and what was looked at must be what is done.
  const [offsets] = useState(chosen);
  const [reason, setReason] = useState("");
  const { action, verb, done, means, word, others } = acts[act];
  const request = create(AdminServiceSettlePendingRequestSchema, {
    group,
    topic,
    partition,
    offsets: [...offsets],
    action,
    reason,
  });
  const preview = useMutation({ mutationFn: () => portal.settlePending({ settle: { ...request, dryRun: true } }) });
  const settle = useMutation({ mutationFn: () => portal.settlePending({ settle: request }) });
  const can = preview.data?.outcomes.filter(({ error }) => error === undefined).length ?? 0;
  const { data } = settle;
  const settled = data?.outcomes.filter(({ error }) => error === undefined).length ?? 0;
  const asked = { group, topic, partition, offsets: offsets.map(String), action: PendingAction[action], reason };
  return (
    <Dialog title={`${verb} ${counted(offsets.length, "record")} of ${topic} / ${partition}`} onClose={onClose} wide>
      <div className="flex flex-col gap-4 text-[13px]">
        <p>
          Group {group}: {means}
        </p>
        {act === "deadLetter" && data === undefined && (
          <Field label="Reason" hint="Stands with each dead letter">
            {(ids) => (
              <input
                {...ids}
                maxLength={200}
                placeholder="operator"
                className={inputLook("w-80 max-w-full")}
                value={reason}
                onChange={(event) => setReason(event.target.value)}
              />
            )}
          </Field>
        )}
        {preview.data !== undefined && data === undefined && (
          <p role="status">
            {formatCount(can)} of {formatCount(offsets.length)} would be {done}
            {can < offsets.length && `; ${others}`}.
          </p>
        )}
        {data !== undefined && (
          <>
            <p role="status" className="font-medium">
              {formatCount(settled)} {done}
              {settled < data.outcomes.length && `, ${formatCount(data.outcomes.length - settled)} refused`}
            </p>
            <div className="overflow-hidden rounded-lg border border-line">
              <DataTable
                caption="Result"
                columns={columns(done)}
                rows={data.outcomes}
                rowKey={({ offset }) => String(offset)}
                tall={data.outcomes.length > 10}
                empty={null}
              />
            </div>
          </>
        )}
        {(settle.error ?? preview.error) !== null && <ProblemNotice error={settle.error ?? preview.error} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyAs
            gmq={`gmq groups settle ${quote(group)} --topic ${quote(topic)} --partition ${partition} --offsets ${offsetList(offsets)} --as ${word}${reason === "" ? "" : ` --reason ${quote(reason)}`}`}
            curl={curlOf("PortalService/SettlePending", { settle: asked })}
          />
          <Button onClick={onClose}>{data === undefined ? "Cancel" : "Close"}</Button>
          {data === undefined && preview.data === undefined && (
            <Button disabled={preview.isPending} onClick={() => preview.mutate()}>
              Show what it means
            </Button>
          )}
          {data === undefined && preview.data !== undefined && (
            <Button
              look={act === "retry" || act === "claim" ? "primary" : "danger"}
              disabled={can === 0 || settle.isPending}
              onClick={() => settle.mutate()}
            >
              {settle.isPending ? "Working…" : `${verb} ${formatCount(can)}`}
            </Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}

function columns(done: string): readonly Column<PendingOutcome>[] {
  return [
    {
      id: "offset",
      header: "Offset",
      cell: ({ offset }) => <span className="font-mono text-xs">{String(offset)}</span>,
    },
    {
      id: "outcome",
      header: "Outcome",
      cell: ({ error }) => (
        <Badge tone={error === undefined ? "good" : "bad"}>{error === undefined ? done : error.code}</Badge>
      ),
    },
    { id: "detail", header: "Detail", grow: true, cell: ({ error }) => error?.message ?? "" },
  ];
}
