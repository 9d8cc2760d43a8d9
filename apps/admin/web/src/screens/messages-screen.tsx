import { getRouteApi } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { type DecoderName, isDecoderName } from "../decode/decoders.js";
import { useProtobuf } from "../decode/use-protobuf.js";
import { useLive } from "../live/live-store.js";
import { RecordDetails } from "../messages/record-details.js";
import { RecordTable } from "../messages/record-table.js";
import { ScanControls } from "../messages/scan-controls.js";
import { isFiltered, type MessagesSearch } from "../messages/scan-query.js";
import { type Scan, useScan } from "../messages/use-scan.js";
import { type Tail, useTail } from "../messages/use-tail.js";
import { Button } from "../parts/button.js";
import { counted, formatBytes, formatCount, formatRate } from "../parts/format.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { useBroughtIntoView } from "../parts/use-brought-into-view.js";

const ExportDialog = lazy(async () => ({ default: (await import("../messages/export-dialog.js")).ExportDialog }));
const RepublishDialog = lazy(async () => ({
  default: (await import("../messages/republish-dialog.js")).RepublishDialog,
}));
const DescriptorsDialog = lazy(async () => ({
  default: (await import("../decode/descriptors-dialog.js")).DescriptorsDialog,
}));
const route = getRouteApi("/topics/$topic/messages");

/** Screen 4: the records of a topic, looked at without taking them from any group. */
export function MessagesScreen(): ReactNode {
  const { topic } = route.useParams();
  const search: MessagesSearch = route.useSearch();
  const navigate = route.useNavigate();
  const live = useLive();
  const [paused, setPaused] = useState(false);
  const [open, setOpen] = useState<"export" | "republish" | "descriptors">();
  const isLive = search.live !== undefined;
  const { scan, goOn, again, stop } = useScan(topic, search, !isLive);
  const tail = useTail(topic, search, isLive, paused);
  const decoder: DecoderName = isDecoderName(search.as) ? search.as : "auto";
  const keyDecoder: DecoderName = isDecoderName(search.keyas) ? search.keyas : "auto";
  const protobuf = useProtobuf(topic, decoder === "protobuf" || keyDecoder === "protobuf");
  const panel = useBroughtIntoView(search.sel);
  const chosen = /^(\d+)-(\d+)$/.exec(search.sel ?? "");

  function change(part: Partial<Record<keyof MessagesSearch, string | undefined>>): void {
    void navigate({ search: { ...search, ...part }, resetScroll: false });
  }

  return (
    <div className={`grid items-start gap-5 ${chosen === null ? "" : "xl:grid-cols-[minmax(0,1fr)_30rem]"}`}>
      <section aria-label="Messages" className="min-w-0 overflow-hidden rounded-xl border border-line bg-panel">
        <ScanControls
          search={search}
          onChange={change}
          partitions={live.topics.get(topic)?.partitions ?? 0}
          onDescriptors={() => setOpen("descriptors")}
        />
        <div className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2">
          {isLive ? <TailMeter tail={tail} paused={paused} /> : <ScanMeter scan={scan} filtered={isFiltered(search)} />}
          <div className="flex flex-wrap gap-2">
            {isLive && <Button onClick={() => setPaused(!paused)}>{paused ? "Resume" : "Pause"}</Button>}
            {!isLive && scan.running && <Button onClick={stop}>Stop</Button>}
            {!isLive && !scan.running && <Button onClick={again}>Refresh</Button>}
            <Button
              aria-pressed={isLive}
              look={isLive ? "primary" : "plain"}
              onClick={() => {
                setPaused(false);
                change({ live: isLive ? undefined : "1" });
              }}
            >
              Live
            </Button>
            {!isLive && live.facts?.readOnly !== true && (
              <Button onClick={() => setOpen("republish")}>Re-publish…</Button>
            )}
            {!isLive && <Button onClick={() => setOpen("export")}>Export…</Button>}
          </div>
        </div>
        {isLive
          ? tail.error !== undefined && <Notice error={tail.error} />
          : scan.error !== undefined && <Notice error={scan.error} />}
        <RecordTable
          records={isLive ? tail.records : scan.records}
          decoder={decoder}
          keyDecoder={keyDecoder}
          protobuf={protobuf}
          chosen={search.sel}
          onChoose={(place) => change({ sel: place })}
          empty={isLive ? <TailEmpty tail={tail} /> : <ScanEmpty scan={scan} filtered={isFiltered(search)} />}
        />
        {!isLive && !scan.running && !scan.complete && scan.error === undefined && (
          <div className="flex flex-wrap items-center gap-3 border-t border-line px-4 py-2.5 text-[13px]">
            <Button onClick={goOn}>{isFiltered(search) ? "Scan on from here" : "Show more"}</Button>
            <span className="text-muted">up to {counted(scan.remaining, "record")} not looked at yet</span>
          </div>
        )}
      </section>
      {chosen !== null && (
        <aside
          ref={panel}
          aria-label="Record"
          className="min-w-0 scroll-mt-24 rounded-xl max-xl:min-h-[75dvh] border border-line bg-panel p-4"
        >
          <div className="mb-3 flex items-center justify-between">
            <h2 className="text-[13px] font-semibold">Record</h2>
            <Button look="quiet" aria-label="Close the record" onClick={() => change({ sel: undefined })}>
              ✕
            </Button>
          </div>
          <RecordDetails
            topic={topic}
            partition={Number(chosen[1])}
            offset={BigInt(chosen[2] ?? 0)}
            decoder={decoder}
            onDecoder={(value) => change({ as: value === "auto" ? undefined : value })}
            keyDecoder={keyDecoder}
            onKeyDecoder={(value) => change({ keyas: value === "auto" ? undefined : value })}
          />
        </aside>
      )}
      <Suspense>
        {open === "export" && <ExportDialog topic={topic} search={search} onClose={() => setOpen(undefined)} />}
        {open === "descriptors" && <DescriptorsDialog topic={topic} onClose={() => setOpen(undefined)} />}
        {open === "republish" && <RepublishDialog topic={topic} search={search} onClose={() => setOpen(undefined)} />}
      </Suspense>
    </div>
  );
}

function Notice({ error }: { readonly error: unknown }): ReactNode {
  return (
    <div className="px-4 py-3">
      <ProblemNotice error={error} />
    </div>
  );
}

/** What was looked at, and whether that is all. */
function ScanMeter({ scan, filtered }: { readonly scan: Scan; readonly filtered: boolean }): ReactNode {
  const seen = `${formatCount(scan.scanned)} scanned (${formatBytes(scan.bytes)})`;
  return (
    <p role="status" className="text-[13px] text-muted tabular-nums">
      {scan.running ? "Scanning… " : scan.complete ? "All of it: " : "A part: "}
      {filtered && <span className="font-medium text-ink">{formatCount(scan.matched)} matched, </span>}
      {seen}
      {scan.unevaluated > 0 && (
        <span className="ml-2 text-warn" title={scan.firstEvaluationProblem}>
          {formatCount(scan.unevaluated)} without what the expression asks for
        </span>
      )}
    </p>
  );
}

function TailMeter({ tail, paused }: { readonly tail: Tail; readonly paused: boolean }): ReactNode {
  return (
    <p className="text-[13px] text-muted tabular-nums">
      <span
        role="status"
        className={tail.state === "live" && !paused ? "font-medium text-good" : "font-medium text-warn"}
      >
        {paused ? "paused" : tail.state}
      </span>{" "}
      {formatRate(tail.recordsPerSecond)}/s · {formatCount(tail.appended)} appended · {formatCount(tail.shown)} shown ·{" "}
      <span className={tail.dropped > 0n ? "text-warn" : ""}>{formatCount(tail.dropped)} dropped</span>
    </p>
  );
}

function ScanEmpty({ scan, filtered }: { readonly scan: Scan; readonly filtered: boolean }): ReactNode {
  if (scan.error !== undefined) return null;
  if (scan.running) return <Loading what="records" />;
  if (!scan.complete)
    return <Empty title="Nothing matched so far">Only a part was looked at: scan on to be sure.</Empty>;
  if (filtered) return <Empty title="No record matches">All of it was looked at.</Empty>;
  return <Empty title="No records here">They show up as soon as somebody produces some.</Empty>;
}

function TailEmpty({ tail }: { readonly tail: Tail }): ReactNode {
  return (
    <Empty title={tail.state === "live" ? "Waiting for the next record" : "Connecting…"}>
      New records appear here as they are appended.
    </Empty>
  );
}
