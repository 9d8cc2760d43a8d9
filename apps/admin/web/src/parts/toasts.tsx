import { type ReactNode, useSyncExternalStore } from "react";

interface Toast {
  readonly id: number;
  readonly text: string;
}

const shownMs = 6_000;
const toastsMax = 3;
let toasts: readonly Toast[] = [];
let lastId = 0;
const listeners = new Set<() => void>();

function change(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

/** Says that something was done. It is read out, takes no focus and goes by itself. */
export function say(text: string): void {
  const id = ++lastId;
  change([...toasts, { id, text }].slice(-toastsMax));
  setTimeout(() => change(toasts.filter((toast) => toast.id !== id)), shownMs);
}

/** Where toasts appear; once in a page. */
export function Toasts(): ReactNode {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed right-4 bottom-4 z-50 flex flex-col gap-2"
    >
      {shown.map(({ id, text }) => (
        <p
          key={id}
          className="max-w-sm rounded-lg border border-line bg-panel px-4 py-2.5 text-[13px] shadow-xl wrap-anywhere"
        >
          <span aria-hidden="true" className="mr-2 text-good">
            ✓
          </span>
          {text}
        </p>
      ))}
    </div>
  );
}
