import type { PortalTopic } from "@gmq/protocol/messages";
import { getRouteApi } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useDeferredValue, useMemo, useState } from "react";
import { useMay } from "../access/access-store.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { TopicLink } from "../parts/entity-links.js";
import { inputLook } from "../parts/field.js";
import { counted, formatAgo, formatBytes, formatCount, formatRate } from "../parts/format.js";
import { Empty, Loading } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Panel } from "../parts/panel.js";
import { useSelectedRows } from "../parts/select-rows.js";
import { CreateTopicDialog } from "./create-topic-dialog.js";

const ChangeTopicsDialog = lazy(async () => ({
  default: (await import("../topics/change-topics-dialog.js")).ChangeTopicsDialog,
}));
const route = getRouteApi("/topics");

/** A topic with the groups that read it. */
interface TopicRow extends PortalTopic {
  readonly groups: number;
  readonly worstLag: bigint;
}

/** Screen 2: every topic, found by a few letters. */
export function TopicsScreen(): ReactNode {
  const live = useLive();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const text = useDeferredValue(search.q ?? "");
  const all = useMemo(() => withGroups(live.topics, live.groups), [live.topics, live.groups]);
  const rows = useMemo(() => {
    const wanted = text.toLowerCase();
    return wanted === "" ? all : all.filter(({ name }) => name.toLowerCase().includes(wanted));
  }, [all, text]);
  const mayCreate = useMay("admin");
  const readOnly = live.facts?.readOnly === true || !mayCreate;
  const [changing, setChanging] = useState(false);
  const selection = useSelectedRows(
    rows,
    ({ name }) => name,
    ({ name }) => name,
  );
  const { column } = selection;
  const shown = readOnly ? columns : [column, ...columns];

  return (
    <>
      <PageHeader title="Topics" note={live.loaded ? counted(rows.length, "topic") : undefined}>
        <CopyAs gmq={cli("topics list", live.facts?.brokerUrl)} curl={curlOf("AdminService/ListTopics", {})} />
        {!readOnly && (
          <Button look="primary" onClick={() => void navigate({ search: { ...search, create: "1" } })}>
            Create a topic
          </Button>
        )}
      </PageHeader>
      <Panel
        title="All topics"
        actions={
          <div className="flex w-full flex-wrap items-center gap-2 sm:w-auto">
            {selection.rows.length > 0 && (
              <>
                <span role="status" className="text-[13px] text-muted">
                  {formatCount(selection.rows.length)} selected
                </span>
                <Button onClick={selection.clear}>Select none</Button>
                <Button onClick={() => setChanging(true)}>Change them…</Button>
              </>
            )}
            <input
              data-filter
              type="search"
              aria-label="Filter topics by name"
              placeholder="Filter by name  /"
              className={inputLook("w-full sm:w-64")}
              value={search.q ?? ""}
              onChange={(event) =>
                void navigate({ search: { ...search, q: event.target.value }, replace: true, resetScroll: false })
              }
            />
          </div>
        }
      >
        {live.loaded ? (
          <DataTable
            caption="Topics"
            columns={shown}
            rows={rows}
            rowKey={({ name }) => name}
            sort={search.sort ?? "name"}
            onSort={(sort) => void navigate({ search: { ...search, sort }, replace: true })}
            tall
            empty={
              all.length === 0 ? (
                <Empty title="There are no topics yet">
                  A topic is made by its first record{readOnly ? "" : ", or here"}.
                </Empty>
              ) : (
                <Empty title="No topic is called like that">{counted(all.length, "topic")} have other names.</Empty>
              )
            }
          />
        ) : (
          <Loading what="topics" />
        )}
      </Panel>
      {changing && (
        <Suspense>
          <ChangeTopicsDialog
            topics={selection.rows}
            onClose={() => {
              setChanging(false);
              selection.clear();
            }}
          />
        </Suspense>
      )}
      {search.create !== undefined && !readOnly && (
        <CreateTopicDialog onClose={() => void navigate({ search: { ...search, create: undefined } })} />
      )}
    </>
  );
}

/** A gmq command for this broker. */
function cli(command: string, brokerUrl: string | undefined): string {
  return `gmq ${command} --broker ${brokerUrl ?? "http://localhost:50051"}`;
}

function withGroups(
  topics: ReadonlyMap<string, PortalTopic>,
  groups: ReturnType<typeof useLive>["groups"],
): readonly TopicRow[] {
  const readers = new Map<string, { groups: number; worstLag: bigint }>();
  for (const { topics: read, lagRecords } of groups.values()) {
    for (const topic of read) {
      const known = readers.get(topic) ?? { groups: 0, worstLag: 0n };
      readers.set(topic, {
        groups: known.groups + 1,
        worstLag: lagRecords > known.worstLag ? lagRecords : known.worstLag,
      });
    }
  }
  return [...topics.values()].map((topic) => ({
    ...topic,
    ...(readers.get(topic.name) ?? { groups: 0, worstLag: 0n }),
  }));
}

const columns: readonly Column<TopicRow>[] = [
  {
    id: "name",
    header: "Topic",
    grow: true,
    sortBy: ({ name }) => name,
    cell: ({ name }) => <TopicLink topic={name} />,
  },
  {
    id: "rate",
    header: "Records/s",
    numeric: true,
    sortBy: ({ recordsPerSecond }) => recordsPerSecond,
    cell: ({ recordsPerSecond, sampledAtMs }) => (sampledAtMs === 0n ? "–" : formatRate(recordsPerSecond)),
  },
  {
    id: "records",
    header: "Records",
    numeric: true,
    sortBy: ({ records }) => records,
    cell: ({ records, sampledAtMs }) => (sampledAtMs === 0n ? "–" : formatCount(records)),
  },
  {
    id: "bytes",
    header: "Size",
    numeric: true,
    from: "sm",
    sortBy: ({ bytes }) => bytes,
    cell: ({ bytes, sampledAtMs }) => (sampledAtMs === 0n ? "–" : formatBytes(bytes)),
  },
  {
    id: "oldest",
    header: "Oldest",
    numeric: true,
    from: "lg",
    sortBy: ({ firstAppendMs }) => firstAppendMs,
    cell: ({ firstAppendMs }) => (
      <span className="text-muted">{firstAppendMs === 0n ? "–" : formatAgo(firstAppendMs)}</span>
    ),
  },
  {
    id: "partitions",
    header: "Partitions",
    numeric: true,
    from: "sm",
    sortBy: ({ partitions }) => partitions,
    cell: ({ partitions }) => formatCount(partitions),
  },
  {
    id: "groups",
    header: "Groups",
    numeric: true,
    from: "md",
    sortBy: ({ groups }) => groups,
    cell: ({ groups }) => formatCount(groups),
  },
  {
    id: "lag",
    header: "Worst lag",
    numeric: true,
    from: "md",
    sortBy: ({ worstLag }) => worstLag,
    cell: ({ worstLag, groups }) => (groups === 0 ? "–" : formatCount(worstLag)),
  },
  {
    id: "last",
    header: "Last record",
    numeric: true,
    from: "sm",
    sortBy: ({ lastAppendMs }) => lastAppendMs,
    cell: ({ lastAppendMs }) => <span className="text-muted">{formatAgo(lastAppendMs)}</span>,
  },
];
