import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { Button } from "./button.js";

interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly wide?: boolean;
  /** False: the title is read out and not shown. */
  readonly titled?: boolean;
}

/** A modal dialog: the browser's own, so that focus stays inside, Escape closes it and focus goes back where it was. */
export function Dialog({ title, onClose, children, wide = false, titled = true }: DialogProps): ReactNode {
  const reference = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Before anything is painted: a key that is pressed as soon as it opened or closed goes where it belongs.
  useLayoutEffect(() => {
    const dialog = reference.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={reference}
      aria-labelledby={titleId}
      // Of two dialogs the inner one: left to itself the browser closes all that were opened by one key press.
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        onClose();
      }}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === reference.current && onClose()}
      className={`m-auto mt-[10vh] max-h-[80vh] w-[calc(100vw-2rem)] overflow-y-auto rounded-xl border border-line bg-panel p-0 shadow-2xl ${wide ? "max-w-3xl" : "max-w-lg"}`}
    >
      <div className="p-5">
        <div className={titled ? "mb-4 flex items-start justify-between gap-4" : "sr-only"}>
          <h2 id={titleId} className="text-base font-semibold">
            {title}
          </h2>
          {titled && (
            <Button look="quiet" aria-label="Close" className="-mt-1 -mr-2" onClick={onClose}>
              ✕
            </Button>
          )}
        </div>
        {children}
      </div>
    </dialog>
  );
}
