import { create } from "@bufbuild/protobuf";
import { type DeadLetter, DeadLetterFilterSchema, type DeadLetterReason, RedriveAction } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { EditLetterDialog } from "../dead-letters/edit-letter-dialog.js";
import { RedriveDialog } from "../dead-letters/redrive-dialog.js";
import { preview } from "../decode/decoders.js";
import { ActiveJobs } from "../jobs/active-jobs.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { inputLook } from "../parts/field.js";
import { counted, formatAgo, formatCount } from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { NotThere, orNotThere } from "../parts/not-there.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Badge, Panel } from "../parts/panel.js";
import { admin } from "../rpc.js";

const route = getRouteApi("/dead-letters/$topic/$group");
const lettersShown = 500;
const refreshMs = 5_000;

/** What one group has given up of a topic: by reason, one by one, and back to its topic or away. */
export function DeadLetterQueueScreen(): ReactNode {
  const { topic, group } = route.useParams();
  const { reason, q } = route.useSearch();
  const navigate = route.useNavigate();
  const now = useSecond();
  const live = useLive();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [action, setAction] = useState<RedriveAction>();
  const [edited, setEdited] = useState<DeadLetter>();
  const filter = create(DeadLetterFilterSchema, {
    ...(reason === undefined ? {} : { reason }),
    ...(q === undefined ? {} : { errorContains: q }),
  });
  const listed = useQuery({
    queryKey: ["dead-letters", topic, group, reason, q],
    queryFn: ({ signal }) =>
      orNotThere(admin.listDeadLetters({ topic, group, filter, limit: lettersShown }, { signal })),
    refetchInterval: refreshMs,
  });
  const letters = listed.data?.letters ?? [];
  const selected = letters.filter((letter) => chosen.has(keyOf(letter)));
  const readOnly = live.facts?.readOnly === true;
  if (listed.data === null) {
    const title = `The group ${group} has no dead letters of ${topic}`;
    return <NotThere title={title} to="/dead-letters" all="All dead letters" />;
  }

  return (
    <>
      <PageHeader
        title={`Dead letters of ${group} from ${topic}`}
        above={
          <Link to="/dead-letters" className="text-muted">
            Dead letters
          </Link>
        }
      >
        <CopyAs
          gmq={`gmq dlq show ${quote(topic)} ${quote(group)}`}
          curl={curlOf("AdminService/ListDeadLetters", { topic, group })}
        />
        {!readOnly && letters.length > 0 && (
          <>
            <Button look="primary" onClick={() => setAction(RedriveAction.REDRIVE)}>
              {selected.length > 0 ? `Redrive ${selected.length} selected…` : "Redrive…"}
            </Button>
            <Button onClick={() => setAction(RedriveAction.DISCARD)}>
              {selected.length > 0 ? `Discard ${selected.length} selected…` : "Discard…"}
            </Button>
          </>
        )}
      </PageHeader>
      <div className="flex flex-col gap-5">
        <ActiveJobs topic={topic} group={group} />
        {listed.error !== null && <ProblemNotice error={listed.error} />}
        {listed.isPending && <Loading what="dead letters" />}
        {listed.data !== undefined && (
          <>
            <Panel title="By reason" note={listed.data.complete ? undefined : "of those looked at; there are more"}>
              <DataTable
                caption="Reasons"
                columns={reasonColumns(now, (chosenReason) => void navigate({ search: { q, reason: chosenReason } }))}
                rows={listed.data.reasons}
                rowKey={(row) => row.reason}
                isCurrent={(row) => row.reason === reason}
                empty={
                  <Empty title="Nothing is open">
                    All of it was redriven or discarded, or nothing passes the filter.
                  </Empty>
                }
              />
            </Panel>
            <Panel
              title="Dead letters"
              note={`${counted(letters.length, "record")}${listed.data.more ? ", and more" : ""}`}
              actions={
                <div className="flex w-full flex-wrap items-center gap-2 sm:w-auto">
                  {reason !== undefined && (
                    <Button onClick={() => void navigate({ search: { q } })}>Every reason</Button>
                  )}
                  <input
                    data-filter
                    type="search"
                    aria-label="Filter by error text"
                    placeholder="Filter by error text  /"
                    className={inputLook("w-full sm:w-64")}
                    value={q ?? ""}
                    onChange={(event) => void navigate({ search: { reason, q: event.target.value }, replace: true })}
                  />
                </div>
              }
            >
              <DataTable
                caption="Dead letters"
                columns={letterColumns(topic, now, chosen, setChosen, readOnly ? undefined : setEdited)}
                rows={letters}
                rowKey={keyOf}
                tall
                empty={<Empty title="No dead letters" />}
              />
            </Panel>
          </>
        )}
      </div>
      {edited !== undefined && (
        <EditLetterDialog
          topic={topic}
          group={group}
          letter={edited}
          onClose={() => {
            setEdited(undefined);
            void listed.refetch();
          }}
        />
      )}
      {action !== undefined && (
        <RedriveDialog
          topic={topic}
          group={group}
          action={action}
          filter={filter}
          selected={selected.flatMap(({ place }) => (place === undefined ? [] : [place]))}
          onClose={() => {
            setAction(undefined);
            setChosen(new Set());
            void listed.refetch();
          }}
        />
      )}
    </>
  );
}

function keyOf({ place }: DeadLetter): string {
  return `${place?.partition}-${place?.offset}`;
}

function reasonColumns(nowMs: number, choose: (reason: string) => void): readonly Column<DeadLetterReason>[] {
  return [
    {
      id: "reason",
      header: "Reason",
      grow: true,
      cell: ({ reason }) => (
        <button type="button" className="min-h-6 text-accent hover:underline" onClick={() => choose(reason)}>
          {reason === "" ? "(none given)" : reason}
        </button>
      ),
    },
    { id: "count", header: "Open", numeric: true, cell: ({ count }) => formatCount(count) },
    {
      id: "first",
      header: "First",
      numeric: true,
      from: "sm",
      cell: ({ firstAtMs }) => <span className="text-muted">{formatAgo(firstAtMs, nowMs)}</span>,
    },
    {
      id: "last",
      header: "Last",
      numeric: true,
      cell: ({ lastAtMs }) => <span className="text-muted">{formatAgo(lastAtMs, nowMs)}</span>,
    },
  ];
}

function letterColumns(
  topic: string,
  nowMs: number,
  chosen: ReadonlySet<string>,
  choose: (chosen: ReadonlySet<string>) => void,
  edit: ((letter: DeadLetter) => void) | undefined,
): readonly Column<DeadLetter>[] {
  const acts: Column<DeadLetter>[] =
    edit === undefined
      ? []
      : [
          {
            id: "edit",
            header: "Edit",
            cell: (letter) =>
              letter.masked ? (
                <span className="text-muted">masked</span>
              ) : (
                <button type="button" className="min-h-6 text-accent hover:underline" onClick={() => edit(letter)}>
                  edit
                  <span className="sr-only">
                    {" "}
                    record {letter.partition} · {String(letter.offset)} before it is redriven
                  </span>
                </button>
              ),
          },
        ];
  return [
    {
      id: "choose",
      header: "Select",
      cell: (letter) => (
        <input
          type="checkbox"
          className="size-5 align-middle"
          aria-label={`Select record ${letter.partition} · ${letter.offset}`}
          checked={chosen.has(keyOf(letter))}
          onChange={(event) => {
            const next = new Set(chosen);
            if (event.target.checked) next.add(keyOf(letter));
            else next.delete(keyOf(letter));
            choose(next);
          }}
        />
      ),
    },
    {
      id: "origin",
      header: "Record",
      cell: ({ partition, offset }) => (
        <Link
          to="/topics/$topic/records/$partition/$offset"
          params={{ topic, partition: String(partition), offset: String(offset) }}
          className="font-mono text-xs whitespace-nowrap text-accent"
        >
          {partition} · {String(offset)}
        </Link>
      ),
    },
    {
      id: "reason",
      header: "Reason",
      cell: ({ reason }) => <Badge tone="warn">{reason === "" ? "none given" : reason.slice(0, 60)}</Badge>,
    },
    {
      id: "error",
      header: "Error",
      from: "md",
      cell: ({ errorText }) => (
        <span className="block max-w-72 truncate text-muted" title={errorText}>
          {errorText === "" ? "–" : errorText}
        </span>
      ),
    },
    {
      id: "value",
      header: "Value",
      grow: true,
      from: "sm",
      cell: ({ record }) => (
        <span className="font-mono text-xs">{preview(record?.value ?? new Uint8Array(), "auto", false)}</span>
      ),
    },
    { id: "attempts", header: "Attempts", numeric: true, from: "sm", cell: ({ attempts }) => formatCount(attempts) },
    { id: "redrives", header: "Redriven", numeric: true, from: "lg", cell: ({ redrives }) => formatCount(redrives) },
    {
      id: "at",
      header: "When",
      numeric: true,
      cell: ({ atMs }) => <span className="text-muted">{formatAgo(atMs, nowMs)}</span>,
    },
    ...acts,
  ];
}
