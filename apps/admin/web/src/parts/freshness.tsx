import { type ReactNode, useEffect, useState } from "react";
import type { LiveState } from "../live/live-state.js";
import { formatDuration } from "./format.js";

const staleMs = 5_000;

/** How old the figures are, and whether they still come. Only a change between live and not is read out, not every second. */
export function Freshness({ live }: { readonly live: LiveState }): ReactNode {
  const now = useSecond();
  const ageMs = Math.max(0, now - live.receivedAtMs);
  const isLive = live.connection === "live" && ageMs < staleMs && live.problem === "";
  const age = live.receivedAtMs === 0 ? "" : ageMs < 1_500 ? "now" : `${formatDuration(ageMs)} ago`;
  const word =
    live.connection === "connecting"
      ? "connecting"
      : live.connection === "reconnecting"
        ? "reconnecting"
        : live.problem !== ""
          ? "no broker"
          : isLive
            ? "live"
            : "stale";
  return (
    <span className="inline-flex items-center gap-2 text-xs whitespace-nowrap text-muted">
      <span aria-hidden="true" className={`size-2 rounded-full ${isLive ? "bg-good" : "bg-warn"}`} />
      <span role="status" className={isLive ? "" : "font-medium text-warn"}>
        {word}
      </span>
      <span className="tabular-nums max-sm:hidden">{age}</span>
    </span>
  );
}

/** The present time, once a second. */
export function useSecond(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
