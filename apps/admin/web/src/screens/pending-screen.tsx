import type { PendingRecord } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf, quote } from "../parts/copy-as.js";
import { DataTable } from "../parts/data-table.js";
import { Select } from "../parts/field.js";
import { formatAgo, formatCount } from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { memberText } from "../parts/member-name.js";
import { NotThere, orNotThere } from "../parts/not-there.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Panel } from "../parts/panel.js";
import { useSelectedRows } from "../parts/select-rows.js";
import { type HolderCount, holdersOf } from "../pending/holders.js";
import { PeekPanel, type PeekSearch } from "../pending/peek-panel.js";
import { pendingColumns } from "../pending/pending-columns.js";
import { PendingHistograms } from "../pending/pending-histograms.js";
import { type SettleAct, SettleDialog } from "../pending/settle-dialog.js";
import { admin } from "../rpc.js";

const route = getRouteApi("/groups/$group/pending/$topic/$partition");
const recordsMax = 1_000;
/** In place of a member id, which has no slash. */
const everybody = "/all";
const nobody = "/nobody";
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
    queryFn: ({ signal }) => orNotThere(admin.listPending(request, { signal })),
    refetchInterval: refreshMs,
  });
  const data = pending.data ?? undefined;
  const { facts, groups } = useLive();
  const isShared = groups.get(group)?.shared === true;
  const readOnly = facts?.readOnly === true;
  const [act, setAct] = useState<SettleAct>();
  const holders = holdersOf(data?.records ?? []);
  const chosen = search.with === undefined || search.with === everybody ? undefined : search.with;
  const records = (data?.records ?? []).filter(
    ({ memberId }) => chosen === undefined || memberId === (chosen === nobody ? "" : chosen),
  );
  const selection = useSelectedRows(records, offsetOf, ({ offset }) => `offset ${offset}`);
  const count = selection.rows.length;
  const peeked = /^\d{1,19}$/.test(search.peek ?? "") ? BigInt(search.peek ?? 0) : undefined;
  const change = (changes: PeekSearch & { readonly sort?: string; readonly with?: string | undefined }): void =>
    void navigate({ search: { ...search, ...changes }, replace: true });
  const waiting = records.filter(({ dueInMs }) => dueInMs > 0).length;
  if (pending.data === null) {
    const title = `The group ${group} has nothing of ${topic} / ${partition}`;
    return <NotThere title={title} to="/groups" all="All groups" />;
  }
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
                : `at ${memberText(data.memberId, data.records.find(({ memberId }) => memberId === data.memberId)?.clientId ?? "")}`
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
          {data.records.length > 0 && <PendingHistograms records={records} />}
          <div className={`grid items-start gap-5 ${peeked === undefined ? "" : "xl:grid-cols-[minmax(0,1fr)_30rem]"}`}>
            <div className="min-w-0">
              <Panel
                title={`${formatCount(data.unsettledRecords)} handed out and not settled`}
                note={`${waiting > 0 ? `${formatCount(waiting)} wait for a retry · ` : ""}as of ${formatAgo(pending.dataUpdatedAt, now)}`}
                actions={
                  (holders.length > 1 || chosen !== undefined) && (
                    <span className="min-w-0 max-sm:w-full sm:max-w-96 [&>select]:max-w-full">
                      <Select
                        aria-label="Consumer"
                        options={holderOptions(holders, chosen)}
                        value={chosen ?? everybody}
                        onChange={(next) => change({ with: next === everybody ? undefined : next })}
                      />
                    </span>
                  )
                }
              >
                {data.otherBrokerIds.length > 0 && (
                  <p className="border-b border-line px-4 py-2 text-[13px] text-warn">
                    {data.otherBrokerIds.join(", ")} {data.otherBrokerIds.length === 1 ? "does" : "do"} not tell which
                    consumer has what is there.
                  </p>
                )}
                {!readOnly && data.records.length > 0 && (
                  <div className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
                    <span role="status" className="mr-2 text-[13px] text-muted">
                      {formatCount(count)} selected
                    </span>
                    <Button onClick={count === records.length ? selection.clear : selection.chooseAll}>
                      {count === records.length ? "Select none" : "Select all listed"}
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
                    ...pendingColumns(topic, partition, data.otherBrokerIds, (offset) =>
                      change({ peek: String(offset) }),
                    ),
                  ]}
                  rows={records}
                  rowKey={offsetOf}
                  sort={search.sort ?? "offset"}
                  onSort={(next) => change({ sort: next })}
                  tall
                  empty={
                    data.records.length === 0 ? (
                      <Empty title="Nothing is pending">Everything that was handed out has been settled.</Empty>
                    ) : (
                      <Empty title="This consumer has nothing">
                        <button
                          type="button"
                          className="min-h-6 text-accent underline"
                          onClick={() => change({ with: undefined })}
                        >
                          Show what all have
                        </button>
                      </Empty>
                    )
                  }
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

/** What the filter offers; a consumer that has nothing any more stays while it is chosen. */
function holderOptions(
  holders: readonly HolderCount[],
  chosen: string | undefined,
): readonly (readonly [value: string, label: string])[] {
  const options = holders.map(({ name, client, records }): readonly [string, string] =>
    name === ""
      ? [nobody, `no known consumer (${formatCount(records)})`]
      : [name, `${client === "" ? name : `${client} · ${name}`} (${formatCount(records)})`],
  );
  const isListed = chosen === undefined || options.some(([value]) => value === chosen);
  const gone: readonly (readonly [string, string])[] = isListed ? [] : [[chosen, `${chosen} (0)`]];
  return [[everybody, "all consumers"], ...options, ...gone];
}
