import type { PortalAuditEntry } from "@gmq/protocol/messages";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { actWords } from "../../../src/audit/act-words.js";
import { type AuditFilter, exportAudit } from "../audit/export-audit.js";
import { layOutJson } from "../decode/json-tokens.js";
import { saveAs } from "../jobs/download-file.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { Dialog } from "../parts/dialog.js";
import { inputLook, Select } from "../parts/field.js";
import { formatTime } from "../parts/format.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Badge, Panel } from "../parts/panel.js";
import { ScrollBox } from "../parts/scroll-box.js";
import { say } from "../parts/toasts.js";
import { portal } from "../rpc.js";

const route = getRouteApi("/audit");
const pageEntries = 100;
const refreshMs = 5_000;

/** Screen 10: who changed what through this portal. */
export function AuditScreen(): ReactNode {
  const search = route.useSearch();
  const { q = "", outcome = "", from = "", to = "" } = search;
  const navigate = route.useNavigate();
  const { facts } = useLive();
  const [shown, setShown] = useState<PortalAuditEntry>();
  const filter: AuditFilter = { text: q, outcome, fromMs: timeOf(from), toMs: timeOf(to) };
  const isFiltered = [q, outcome, from, to].some((part) => part !== "");
  const change = (part: Partial<typeof search>): void =>
    void navigate({ search: { ...search, ...part }, replace: true, resetScroll: false });
  const exporting = useMutation({
    mutationFn: async (format: "csv" | "ndjson") => saveAs(await exportAudit(filter, format), `audit.${format}`),
    onSuccess: (_file, format) => say(`Exported the audit as ${format}`),
  });
  const audit = useInfiniteQuery({
    queryKey: ["audit", q, outcome, from, to],
    queryFn: ({ pageParam, signal }) =>
      portal.listAudit({ ...filter, limit: pageEntries, before: pageParam }, { signal }),
    initialPageParam: 0n,
    getNextPageParam: ({ entries, more }) => (more ? entries.at(-1)?.sequence : undefined),
    refetchInterval: refreshMs,
  });
  const entries = audit.data?.pages.flatMap((page) => page.entries) ?? [];

  return (
    <>
      <PageHeader
        title="Audit"
        note={
          facts === undefined
            ? undefined
            : facts.auditKept
              ? "kept on disk"
              : "in memory: gone when the portal ends (see --data)"
        }
      >
        <CopyAs curl={curlOf("PortalService/ListAudit", { limit: pageEntries, text: q, outcome })} />
        <Button disabled={exporting.isPending} onClick={() => exporting.mutate("csv")}>
          Export CSV
        </Button>
        <Button disabled={exporting.isPending} onClick={() => exporting.mutate("ndjson")}>
          Export NDJSON
        </Button>
      </PageHeader>
      <Panel
        title="Writes through this portal"
        actions={
          <div className="flex w-full flex-wrap items-center gap-2 lg:w-auto">
            <Select
              aria-label="Outcome"
              options={outcomes}
              value={outcome}
              onChange={(value) => change({ outcome: value })}
            />
            <TimeField label="from" value={from} onChange={(value) => change({ from: value })} />
            <TimeField label="until" value={to} onChange={(value) => change({ to: value })} />
            <input
              data-filter
              type="search"
              aria-label="Filter by who, what or where"
              placeholder="Filter by who, what or where  /"
              className={inputLook("w-full sm:w-72")}
              value={q}
              onChange={(event) => change({ q: event.target.value })}
            />
          </div>
        }
      >
        {exporting.error !== null && (
          <div className="px-4 py-3">
            <ProblemNotice error={exporting.error} />
          </div>
        )}
        {audit.error !== null && (
          <div className="px-4 py-3">
            <ProblemNotice error={audit.error} />
          </div>
        )}
        {audit.isPending ? (
          <Loading what="the audit" />
        ) : (
          <DataTable
            caption="Writes"
            columns={columns(setShown)}
            rows={entries}
            rowKey={({ sequence }) => String(sequence)}
            empty={
              <Empty title={!isFiltered ? "Nothing was written through this portal" : "No write is like that"}>
                Programs that talk to a broker themselves do not show up here.
              </Empty>
            }
          />
        )}
        {audit.hasNextPage && (
          <div className="border-t border-line px-4 py-2.5">
            <Button onClick={() => void audit.fetchNextPage()}>Show older</Button>
          </div>
        )}
      </Panel>
      {shown !== undefined && <EntryDialog entry={shown} onClose={() => setShown(undefined)} />}
    </>
  );
}

function TimeField({
  label,
  value,
  onChange,
}: {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}): ReactNode {
  return (
    <label className="flex items-center gap-2 text-xs text-muted max-sm:w-full">
      <span className="max-sm:w-8">{label}</span>
      <input
        type="datetime-local"
        className={inputLook("w-48 max-sm:flex-1")}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}

const outcomes: readonly (readonly [string, string])[] = [
  ["", "any outcome"],
  ["running", "running"],
  ["done", "done"],
  ["refused", "refused"],
  ["failed", "failed"],
  ["cancelled", "cancelled"],
  ["unknown", "unknown"],
];

/** Milliseconds of a local date and time; 0 for none. */
function timeOf(local: string): bigint {
  const ms = new Date(local).getTime();
  return Number.isNaN(ms) ? 0n : BigInt(ms);
}

function columns(show: (entry: PortalAuditEntry) => void): readonly Column<PortalAuditEntry>[] {
  return [
    {
      id: "at",
      header: "When",
      from: "sm",
      cell: ({ atMs }) => <span className="whitespace-nowrap text-muted">{formatTime(atMs).slice(0, 19)}</span>,
    },
    {
      id: "outcome",
      header: "Outcome",
      cell: ({ outcome }) => (
        <Badge tone={outcome === "done" ? "good" : outcome === "refused" || outcome === "failed" ? "bad" : "warn"}>
          {outcome}
        </Badge>
      ),
    },
    {
      id: "action",
      header: "Act",
      cell: ({ action, requestJson }) => (
        <span className="font-medium sm:whitespace-nowrap">{actWords(action, requestJson)}</span>
      ),
    },
    { id: "target", header: "On", grow: true, cell: ({ target }) => target },
    { id: "actor", header: "Who", from: "sm", cell: ({ actor }) => actor },
    {
      id: "more",
      header: "Details",
      cell: (entry) => (
        <button type="button" className="min-h-6 text-accent hover:underline" onClick={() => show(entry)}>
          look
          <span className="sr-only">
            {" "}
            at {actWords(entry.action, entry.requestJson)}, {entry.target}
          </span>
        </button>
      ),
    },
  ];
}

function EntryDialog({
  entry,
  onClose,
}: {
  readonly entry: PortalAuditEntry;
  readonly onClose: () => void;
}): ReactNode {
  return (
    <Dialog title={`${actWords(entry.action, entry.requestJson)}: ${entry.target}`} onClose={onClose} wide>
      <dl className="m-0 mb-4 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-[13px]">
        <dt className="text-muted">When</dt>
        <dd className="m-0">{formatTime(entry.atMs)}</dd>
        <dt className="text-muted">Who</dt>
        <dd className="m-0 wrap-anywhere">{entry.actor}</dd>
        <dt className="text-muted">Call</dt>
        <dd className="m-0 font-mono text-xs leading-5">{entry.action}</dd>
        <dt className="text-muted">Request</dt>
        <dd className="m-0 font-mono text-xs leading-5">{entry.requestId}</dd>
        {entry.problem !== "" && (
          <>
            <dt className="text-muted">Problem</dt>
            <dd className="m-0 text-bad wrap-anywhere">{entry.problem}</dd>
          </>
        )}
      </dl>
      <div className="grid gap-4 md:grid-cols-3">
        <JsonBox name="Asked" json={entry.requestJson} />
        <JsonBox name="Before" json={entry.beforeJson} />
        <JsonBox name="After" json={entry.afterJson} />
      </div>
    </Dialog>
  );
}

function JsonBox({ name, json }: { readonly name: string; readonly json: string }): ReactNode {
  return (
    <section className="min-w-0">
      <h3 className="mb-1 text-xs font-medium text-muted">{name}</h3>
      <ScrollBox label={name} className="max-h-72 rounded-md bg-raised p-2">
        <pre className="m-0 font-mono text-xs">
          {json === ""
            ? "–"
            : layOutJson(json)
                .map(({ text }) => text)
                .join("")}
        </pre>
      </ScrollBox>
    </section>
  );
}
