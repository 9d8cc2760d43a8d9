import type { PendingRecord } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { formatAgo, formatCount, formatDuration } from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Badge, Panel } from "../parts/panel.js";
import { useSelectedRows } from "../parts/select-rows.js";
import { classes, Histogram } from "../pending/histogram.js";
import { PeekPanel, type PeekSearch } from "../pending/peek-panel.js";
import { type SettleAct, SettleDialog } from "../pending/settle-dialog.js";
import { admin } from "../rpc.js";

const route = getRouteApi("/groups/$group/pending/$topic/$partition");
const recordsMax = 1_000;
const refreshMs = 2_000;

/** Screen 7: what a group was given in a partition and has not settled, record by record. */
export function PendingScreen(): ReactNode {
  const { group, topic, partition } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const now = useSecond();
  const request = { group, topic, partition: Number(partition), limit: recordsMax };
  const pending = useQuery({
    queryKey: ["pending", group, topic, partition],
    queryFn: ({ signal }) => admin.listPending(request, { signal }),
    refetchInterval: refreshMs,
  });
  const { data } = pending;
  const { facts, groups } = useLive();
  const isShared = groups.get(group)?.shared === true;
  const readOnly = facts?.readOnly === true;
  const [act, setAct] = useState<SettleAct>();
  const selection = useSelectedRows(data?.records ?? [], offsetOf, ({ offset }) => `offset ${offset}`);
  const count = selection.rows.length;
  const peeked = /^\d{1,19}$/.test(search.peek ?? "") ? BigInt(search.peek ?? 0) : undefined;
  const change = (changes: PeekSearch & { readonly sort?: string }): void =>
    void navigate({ search: { ...search, ...changes }, replace: true });
  const waiting = data?.records.filter(({ dueInMs }) => dueInMs > 0).length ?? 0;
  return (
    <>
      <PageHeader
        title={`Pending in ${topic} / ${partition}`}
        above={
          <Link to="/groups/$group" params={{ group }} className="text-muted">
            {group}
          </Link>
        }
        note={
          data === undefined
            ? undefined
            : data.memberId === ""
              ? "nobody owns the partition"
              : isShared
                ? "shared: each record is with one of the group's consumers"
                : `at ${data.memberId}`
        }
      >
        <CopyAs
          gmq={`gmq groups pending ${quote(group)} --topic ${quote(topic)} --partition ${partition} --limit ${recordsMax}`}
          curl={curlOf("AdminService/ListPending", request)}
        />
      </PageHeader>
      {pending.error !== null && <ProblemNotice error={pending.error} />}
      {data === undefined && pending.error === null && <Loading what="pending records" />}
      {data !== undefined && (
        <div className="flex flex-col gap-5">
          {data.records.length > 0 && <Histograms records={data.records} />}
          <div className={`grid items-start gap-5 ${peeked === undefined ? "" : "xl:grid-cols-[minmax(0,1fr)_30rem]"}`}>
            <div className="min-w-0">
              <Panel
                title={`${formatCount(data.unsettledRecords)} handed out and not settled`}
                note={`${waiting > 0 ? `${formatCount(waiting)} wait for a retry · ` : ""}as of ${formatAgo(pending.dataUpdatedAt, now)}`}
              >
                {!readOnly && data.records.length > 0 && (
                  <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
                    <span role="status" className="mr-2 text-[13px] text-muted">
                      {formatCount(count)} selected
                    </span>
                    <Button onClick={count === data.records.length ? selection.clear : selection.chooseAll}>
                      {count === data.records.length ? "Select none" : "Select all listed"}
                    </Button>
                    <Button disabled={count === 0} onClick={() => setAct("ack")}>
                      Ack…
                    </Button>
                    <Button disabled={count === 0 || data.memberId === ""} onClick={() => setAct("retry")}>
                      Retry now…
                    </Button>
                    <Button disabled={count === 0} onClick={() => setAct("deadLetter")}>
                      Dead-letter…
                    </Button>
                    {isShared && (
                      <Button disabled={count === 0} onClick={() => setAct("claim")}>
                        Claim…
                      </Button>
                    )}
                  </div>
                )}
                {!isShared && !readOnly && data.memberId !== "" && data.records.length > 0 && (
                  <p className="border-b border-line px-4 py-2 text-[13px] text-muted">
                    One consumer has the whole partition, so nothing can be claimed record by record. To take it from a
                    consumer that is stuck, end that process, or pause and resume{" "}
                    <Link to="/groups/$group" params={{ group }} className="text-accent underline">
                      the group
                    </Link>
                    : everything pending passes on with the partition.
                  </p>
                )}
                {data.unsettledRecords > BigInt(data.records.length) && (
                  <p className="border-b border-line px-4 py-2 text-[13px] text-warn">
                    Only the first {formatCount(data.records.length)} are listed.
                  </p>
                )}
                <DataTable
                  caption="Pending records"
                  columns={[
                    ...(readOnly ? [] : [selection.column]),
                    ...columns(topic, partition, data.memberId !== "", (offset) => change({ peek: String(offset) })),
                  ]}
                  rows={data.records}
                  rowKey={offsetOf}
                  sort={search.sort ?? "offset"}
                  onSort={(next) => change({ sort: next })}
                  tall
                  empty={<Empty title="Nothing is pending">Everything that was handed out has been settled.</Empty>}
                />
              </Panel>
            </div>
            {peeked !== undefined && (
              <PeekPanel
                topic={topic}
                partition={Number(partition)}
                offset={peeked}
                search={search}
                onChange={change}
              />
            )}
          </div>
        </div>
      )}
      {act !== undefined && (
        <SettleDialog
          group={group}
          topic={topic}
          partition={Number(partition)}
          act={act}
          offsets={selection.rows.map(({ offset }) => offset)}
          onClose={() => {
            setAct(undefined);
            selection.clear();
            void pending.refetch();
          }}
        />
      )}
    </>
  );
}

function offsetOf({ offset }: PendingRecord): string {
  return String(offset);
}

/** Of the records that are listed. */
function Histograms({ records }: { readonly records: readonly PendingRecord[] }): ReactNode {
  return (
    <Panel title="How they stand" note={`of ${formatCount(records.length)} listed`} padded>
      <div className="grid gap-6 md:grid-cols-3">
        <Histogram
          title="Idle, since handed out"
          bars={classes(
            records.map(({ idleMs }) => Number(idleMs)),
            [
              ["below 1 s", 1_000],
              ["below 10 s", 10_000],
              ["below 1 min", 60_000],
              ["below 10 min", 600_000],
              ["longer", Number.POSITIVE_INFINITY],
            ],
          )}
        />
        <Histogram
          title="Failed attempts"
          bars={classes(
            records.map(({ attempts }) => attempts),
            [
              ["none", 1],
              ["1", 2],
              ["2 to 4", 5],
              ["5 to 9", 10],
              ["10 and more", Number.POSITIVE_INFINITY],
            ],
          )}
        />
        <Histogram
          title="Again in"
          bars={classes(
            records.map(({ dueInMs }) => dueInMs),
            [
              ["at once", 1],
              ["below 10 s", 10_000],
              ["below 1 min", 60_000],
              ["below 10 min", 600_000],
              ["later", Number.POSITIVE_INFINITY],
            ],
          )}
        />
      </div>
    </Panel>
  );
}

function columns(
  topic: string,
  partition: string,
  owned: boolean,
  peek: (offset: bigint) => void,
): readonly Column<PendingRecord>[] {
  return [
    {
      id: "offset",
      header: "Offset",
      sortBy: ({ offset }) => offset,
      cell: ({ offset }) => (
        <Link
          to="/topics/$topic/records/$partition/$offset"
          params={{ topic, partition, offset: String(offset) }}
          className="font-mono text-xs text-accent"
        >
          {String(offset)}
        </Link>
      ),
    },
    {
      id: "state",
      header: "State",
      grow: true,
      from: "sm",
      cell: ({ dueInMs }) =>
        dueInMs > 0 ? (
          <Badge tone="warn">waits for its retry</Badge>
        ) : (
          <Badge>{owned ? "at the consumer" : "waits for a consumer"}</Badge>
        ),
    },
    {
      id: "idle",
      header: "Idle",
      numeric: true,
      sortBy: ({ idleMs }) => idleMs,
      cell: ({ idleMs }) => formatDuration(idleMs),
    },
    {
      id: "attempts",
      header: "Attempts",
      numeric: true,
      sortBy: ({ attempts }) => attempts,
      cell: ({ attempts }) => formatCount(attempts),
    },
    {
      id: "due",
      header: "Again in",
      numeric: true,
      sortBy: ({ dueInMs }) => dueInMs,
      cell: ({ dueInMs }) => (dueInMs === 0 ? "–" : formatDuration(dueInMs)),
    },
    {
      id: "peek",
      header: "Look",
      cell: ({ offset }) => (
        <button type="button" className="min-h-6 text-accent hover:underline" onClick={() => peek(offset)}>
          peek
          <span className="sr-only"> at offset {String(offset)}</span>
        </button>
      ),
    },
  ];
}
