import type { PortalRecord, PortalServiceTailResponse } from "@gmq/protocol/messages";
import { useEffect, useRef, useState } from "react";
import { portal } from "../rpc.js";
import { type MessagesSearch, partitionsOf } from "./scan-query.js";

/** A live tail as the page shows it. */
export interface Tail {
  /** Newest first. */
  readonly records: readonly PortalRecord[];
  readonly appended: bigint;
  readonly matched: bigint;
  readonly shown: bigint;
  readonly dropped: bigint;
  readonly recordsPerSecond: number;
  readonly state: "connecting" | "live" | "reconnecting";
  readonly error: unknown;
}

const empty: Tail = {
  records: [],
  appended: 0n,
  matched: 0n,
  shown: 0n,
  dropped: 0n,
  recordsPerSecond: 0,
  state: "connecting",
  error: undefined,
};

const recordsKept = 500;
const retryMs = 1_500;

/** Follows a topic while the page is visible. Paused: frames still come and are counted, the list stands still. */
export function useTail(topic: string, search: MessagesSearch, enabled: boolean, paused: boolean): Tail {
  const [tail, setTail] = useState<Tail>(empty);
  const pausedNow = useRef(paused);
  pausedNow.current = paused;
  const visible = useVisible();
  const { q = "", cel = "", in: list = "" } = search;

  useEffect(() => {
    if (!enabled || !visible) return;
    const stop = new AbortController();
    setTail(empty);
    void follow(stop.signal);
    return () => stop.abort();

    async function follow(signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        try {
          const request = { topic, text: q, expression: cel, partitions: partitionsOf({ in: list }) };
          for await (const frame of portal.tail(request, { signal })) {
            setTail((before) => added(before, frame, pausedNow.current));
          }
        } catch (error) {
          if (signal.aborted) return;
          setTail((before) => ({ ...before, state: "reconnecting", error }));
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }, [topic, q, cel, list, enabled, visible]);

  return tail;
}

function added(before: Tail, frame: PortalServiceTailResponse, paused: boolean): Tail {
  const { appended, matched, shown, dropped, recordsPerSecond } = frame;
  const records =
    paused || frame.records.length === 0
      ? before.records
      : [...frame.records.toReversed(), ...before.records].slice(0, recordsKept);
  return { records, appended, matched, shown, dropped, recordsPerSecond, state: "live", error: undefined };
}

function useVisible(): boolean {
  const [visible, setVisible] = useState(document.visibilityState === "visible");
  useEffect(() => {
    const look = (): void => setVisible(document.visibilityState === "visible");
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  return visible;
}
