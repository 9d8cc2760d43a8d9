import type { ReactNode } from "react";
import { type Problem, problemOf } from "../rpc.js";

/** What to do about the codes that people meet most. */
const advice: Readonly<Record<string, string>> = {
  unauthenticated: "Log in, then do it again.",
  permission_denied: "Your role does not allow it.",
  unavailable: "Nothing was changed. The page tries again by itself.",
  unreachable: "Is the portal running? The page tries again by itself.",
  store_unavailable: "Brokers answer, but their store does not. The page tries again by itself.",
  deadline_exceeded: "The outcome is unknown: look before you do it again.",
  conflict: "Somebody else changed it first. Look at it again, then decide.",
  topic_not_found: "It may have been deleted a moment ago.",
  group_not_found: "It may have been deleted a moment ago.",
  group_not_empty: "Stop its consumers first.",
};

/** A failure in words: what, why, and what to do. */
export function ProblemNotice({ error }: { readonly error: unknown }): ReactNode {
  const { code, message, limit }: Problem = problemOf(error);
  return (
    <div role="alert" className="rounded-lg border border-bad/40 bg-bad-soft px-4 py-3 text-[13px]">
      <p className="font-medium text-bad wrap-anywhere">{message}</p>
      {limit !== "" && <p className="mt-1 wrap-anywhere">Allowed: {limit}.</p>}
      {advice[code] !== undefined && <p className="mt-1">{advice[code]}</p>}
      <p className="mt-1 font-mono text-xs">{code}</p>
    </div>
  );
}

/** Nothing to show, and what would bring something. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }): ReactNode {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      <p className="text-[15px] font-medium">{title}</p>
      {children !== undefined && <div className="max-w-md text-[13px] text-muted">{children}</div>}
    </div>
  );
}

/** Something is on its way. */
export function Loading({ what }: { readonly what: string }): ReactNode {
  return (
    <p role="status" className="motion-safe:animate-pulse px-6 py-12 text-center text-[13px] text-muted">
      Loading {what}…
    </p>
  );
}
