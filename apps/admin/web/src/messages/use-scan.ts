import type { PortalRecord, PortalServiceSearchResponse } from "@gmq/protocol/messages";
import { useCallback, useEffect, useRef, useState } from "react";
import { portal } from "../rpc.js";
import { isFiltered, type MessagesSearch, searchRequestOf } from "./scan-query.js";

/** A scan as far as it got. */
export interface Scan {
  readonly records: readonly PortalRecord[];
  readonly scanned: number;
  readonly matched: number;
  readonly bytes: number;
  readonly unevaluated: number;
  readonly firstEvaluationProblem: string;
  /** Upper bound of what is left. */
  readonly remaining: bigint;
  readonly running: boolean;
  readonly complete: boolean;
  readonly error: unknown;
  readonly finishedAtMs: number;
}

const empty: Scan = {
  records: [],
  scanned: 0,
  matched: 0,
  bytes: 0,
  unevaluated: 0,
  firstEvaluationProblem: "",
  remaining: 0n,
  running: true,
  complete: false,
  error: undefined,
  finishedAtMs: 0,
};

const pageRecords = 50;
/** A filtered scan goes on by itself for so many calls, then asks. */
const callsByItself = 10;
const recordsKeptMax = 2_000;

/** Scans as the address says, again when it changes. `goOn` continues where the scan stopped, `stop` ends it, `again` begins anew. */
export function useScan(topic: string, search: MessagesSearch, enabled: boolean) {
  const [scan, setScan] = useState<Scan>(empty);
  const [round, setRound] = useState(0);
  const running = useRef<AbortController>(undefined);
  const cursors = useRef<PortalServiceSearchResponse["cursors"]>([]);
  const { from, at, key, q, cel, in: partitions } = search;
  const address = JSON.stringify({ from, at, key, q, cel, in: partitions });

  const run = useCallback(
    async (fresh: boolean): Promise<void> => {
      const wanted = JSON.parse(address) as MessagesSearch;
      running.current?.abort();
      const own = new AbortController();
      running.current = own;
      if (fresh) cursors.current = [];
      setScan((before) => (fresh ? { ...empty } : { ...before, running: true, error: undefined }));
      let found = 0;
      try {
        for (let call = 0; call < callsByItself; call++) {
          const request = { ...searchRequestOf(topic, wanted, pageRecords - found), cursors: cursors.current };
          const answer = await portal.search(request, { signal: own.signal });
          cursors.current = answer.cursors;
          found += answer.records.length;
          const goesOn = !answer.complete && isFiltered(wanted) && found < pageRecords && call + 1 < callsByItself;
          setScan((before) => added(before, answer, goesOn));
          if (!goesOn) return;
        }
      } catch (error) {
        if (!own.signal.aborted) setScan((before) => ({ ...before, running: false, error }));
      }
    },
    [topic, address],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round runs the same scan again.
  useEffect(() => {
    if (!enabled) return;
    void run(true);
    return () => running.current?.abort();
  }, [run, enabled, round]);

  return {
    scan,
    goOn: () => void run(false),
    again: () => setRound((before) => before + 1),
    stop: () => {
      running.current?.abort();
      setScan((before) => ({ ...before, running: false }));
    },
  };
}

function added(before: Scan, answer: PortalServiceSearchResponse, running: boolean): Scan {
  return {
    records: [...before.records, ...answer.records].slice(-recordsKeptMax),
    scanned: before.scanned + Number(answer.scanned),
    matched: before.matched + Number(answer.matched),
    bytes: before.bytes + Number(answer.bytes),
    unevaluated: before.unevaluated + Number(answer.unevaluated),
    firstEvaluationProblem: before.firstEvaluationProblem || answer.firstEvaluationProblem,
    remaining: answer.remaining,
    running,
    complete: answer.complete,
    error: undefined,
    finishedAtMs: Date.now(),
  };
}
