import { useMutation } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Button } from "./button.js";
import { type Commands, CopyAs } from "./copy-as.js";
import { Dialog } from "./dialog.js";
import { ProblemNotice } from "./notice.js";
import { TypedName } from "./typed-name.js";

interface TypedConfirmProps {
  readonly title: string;
  /** What has to be typed. */
  readonly name: string;
  readonly act: string;
  /** The same act from a terminal. */
  readonly commands: Commands;
  /** What will be lost or changed. */
  readonly children: ReactNode;
  readonly run: () => Promise<unknown>;
  readonly onDone: () => void;
  readonly onClose: () => void;
}

/** Asks before something is destroyed: shows what it costs and wants the name typed. A refusal is shown here, what was typed stays. */
export function TypedConfirm({
  title,
  name,
  act,
  commands,
  children,
  run,
  onDone,
  onClose,
}: TypedConfirmProps): ReactNode {
  const [typed, setTyped] = useState("");
  const mutation = useMutation({ mutationFn: run, onSuccess: onDone });
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === name) mutation.mutate();
        }}
      >
        <div className="text-[13px]">{children}</div>
        <TypedName name={name} value={typed} onChange={setTyped} />
        {mutation.error !== null && <ProblemNotice error={mutation.error} />}
        <div className="flex flex-wrap justify-end gap-2">
          <CopyAs {...commands} />
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger" type="submit" disabled={typed !== name || mutation.isPending}>
            {mutation.isPending ? "Working…" : act}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
