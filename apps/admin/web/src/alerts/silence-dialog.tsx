import type { PortalAlert } from "@gmq/protocol/messages";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { Dialog } from "../parts/dialog.js";
import { Field, inputLook, Select } from "../parts/field.js";
import { ProblemNotice } from "../parts/notice.js";
import { say } from "../parts/toasts.js";
import { portal } from "../rpc.js";

type Scope = "alert" | "rule" | "subject";

const durations = [
  ["3600", "1 hour"],
  ["14400", "4 hours"],
  ["86400", "1 day"],
  ["604800", "7 days"],
] as const;
type Duration = (typeof durations)[number][0];

/** Keeps an alert, a rule or all about one thing quiet for a while, with a reason that others see. */
export function SilenceDialog({
  alert,
  onClose,
}: {
  readonly alert: PortalAlert;
  readonly onClose: () => void;
}): ReactNode {
  const queries = useQueryClient();
  const [scope, setScope] = useState<Scope>("alert");
  const [duration, setDuration] = useState<Duration>("3600");
  const [reason, setReason] = useState("");
  const request = {
    rule: scope === "subject" ? "" : alert.rule,
    subject: scope === "rule" ? "" : alert.subject,
    seconds: Number(duration),
    reason,
  };
  const silence = useMutation({
    mutationFn: () => portal.silenceAlert(request),
    onSuccess: async () => {
      say("Silenced");
      await queries.invalidateQueries({ queryKey: ["alerts"] });
      onClose();
    },
  });
  return (
    <Dialog title="Silence" onClose={onClose}>
      <form
        className="flex flex-col gap-4 text-[13px]"
        onSubmit={(event) => {
          event.preventDefault();
          silence.mutate();
        }}
      >
        <p className="wrap-anywhere">
          {alert.text}. It stays listed here, and the webhook is not told of it until the silence is over.
        </p>
        <Field label="What">
          {(ids) => (
            <Select<Scope>
              {...ids}
              options={[
                ["alert", `${alert.rule}, of ${alert.subject}`],
                ["rule", `${alert.rule}, of anything`],
                ["subject", `every rule, of ${alert.subject}`],
              ]}
              value={scope}
              onChange={setScope}
            />
          )}
        </Field>
        <Field label="For">
          {(ids) => <Select<Duration> {...ids} options={durations} value={duration} onChange={setDuration} />}
        </Field>
        <Field label="Reason" hint="Others see it, here and in the audit">
          {(ids) => (
            <input
              {...ids}
              required
              maxLength={500}
              autoComplete="off"
              className={inputLook()}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
          )}
        </Field>
        {silence.error !== null && <ProblemNotice error={silence.error} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyAs curl={curlOf("PortalService/SilenceAlert", request)} />
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={silence.isPending}>
            Silence it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
