import { type GroupView, MemberKind, type PartitionStats, type PortalGroup } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useMay } from "../access/access-store.js";
import { ActiveJobs } from "../jobs/active-jobs.js";
import { useLive } from "../live/live-store.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { GroupLink } from "../parts/entity-links.js";
import {
  counted,
  formatAgo,
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
  formatShort,
  formatTime,
} from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { Badge, Figure, Panel } from "../parts/panel.js";
import { admin } from "../rpc.js";
import { KeySamplePanel } from "../topics/key-sample-panel.js";
import { TopicConfigPanel } from "../topics/topic-config-panel.js";
import { useTopic } from "../topics/use-topic.js";

const route = getRouteApi("/topics/$topic");
const refreshMs = 2_000;

/** Screen 3: a topic's partitions, the groups that read it, and its configuration. */
export function TopicScreen(): ReactNode {
  const mayChange = useMay("admin");
  const { topic } = route.useParams();
  const live = useLive();
  const now = useSecond();
  const described = useTopic(topic, refreshMs);
  const owned = useQuery({
    queryKey: ["owners", topic],
    queryFn: async ({ signal }) => ownersOf((await admin.listGroups({}, { signal })).groups, topic),
    refetchInterval: 5_000,
  });
  const givenUp = useQuery({
    queryKey: ["dead letter queues"],
    queryFn: async ({ signal }) => (await admin.listDeadLetters({}, { signal })).queues,
    refetchInterval: 10_000,
  });
  const open = new Map(
    (givenUp.data ?? []).filter((queue) => queue.topic === topic).map((queue) => [queue.group, queue.open]),
  );
  const readers = [...live.groups.values()].filter(({ topics }) => topics.includes(topic));
  const { data } = described;
  // What is not there the page around this one says.
  if (data === undefined || data === null) {
    return described.error === null ? <Loading what="the topic" /> : <ProblemNotice error={described.error} />;
  }
  const records = data.partitions.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0n);
  const last = data.partitions.reduce(
    (latest, { lastAppendMs }) => (lastAppendMs > latest ? lastAppendMs : latest),
    0n,
  );
  return (
    <div className="flex flex-col gap-5">
      <ActiveJobs topic={topic} />
      {described.error !== null && <ProblemNotice error={described.error} />}
      <section
        aria-label="Figures"
        className="grid grid-cols-2 overflow-hidden rounded-xl border border-line bg-panel sm:grid-cols-4"
      >
        <Figure name="Records" value={formatShort(records)} detail={skewOf(data.partitions)} />
        <Figure
          name="Published"
          value={formatRate(live.topics.get(topic)?.recordsPerSecond ?? 0)}
          detail="records per second"
        />
        <Figure name="Last record" value={formatAgo(last, now)} detail={last === 0n ? "" : formatTime(last)} />
        <Figure
          name="Groups"
          value={readers.length}
          detail={counted(
            readers.reduce((sum, { members }) => sum + members, 0),
            "member",
          )}
        />
      </section>
      <Panel
        title="Partitions"
        note={`${formatCount(data.partitions.length)} · as of ${formatAgo(described.dataUpdatedAt, now)}`}
      >
        <DataTable
          caption={`Partitions of ${topic}`}
          columns={partitionColumns(topic, records, owned.data ?? new Map())}
          rows={data.partitions}
          rowKey={({ partition }) => String(partition)}
          tall={data.partitions.length > 50}
          empty={<Empty title="The topic has no partitions" />}
        />
      </Panel>
      <Panel title="Groups that read it" note={counted(readers.length, "group")}>
        <DataTable
          caption={`Groups that read ${topic}`}
          columns={groupColumns(topic, open)}
          rows={readers}
          rowKey={({ name }) => name}
          empty={<Empty title="No group reads this topic">A group is made by its first consumer.</Empty>}
        />
      </Panel>
      <KeySamplePanel key={topic} topic={topic} />
      {data.topic !== undefined && (
        <TopicConfigPanel topic={data.topic} readOnly={live.facts?.readOnly === true || !mayChange} />
      )}
    </div>
  );
}

/** How unevenly keys spread the records, once there are enough to tell. */
function skewOf(partitions: readonly PartitionStats[]): string {
  const sizes = partitions.map(({ startOffset, endOffset }) => Number(endOffset - startOffset));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (partitions.length < 2 || total < 100 * partitions.length) return "";
  return `largest partition ${formatRate((Math.max(...sizes) * partitions.length) / total)}× the average`;
}

/** Who reads each partition, one text a group. */
function ownersOf(groups: readonly GroupView[], topic: string): ReadonlyMap<number, readonly string[]> {
  const owners = new Map<number, string[]>();
  for (const { group, members, partitions } of groups) {
    const isShared = members.some(({ kind, topics }) => kind === MemberKind.DESK && topics.includes(topic));
    for (const { partition, memberId } of partitions.filter((one) => one.topic === topic)) {
      if (memberId === "" && !isShared) continue;
      const clientId = members.find((member) => member.memberId === memberId)?.clientId ?? "";
      const name = memberId === "" ? "shared" : clientId === "" ? memberId : clientId;
      owners.set(partition, [...(owners.get(partition) ?? []), `${group}: ${name}`]);
    }
  }
  return owners;
}

function partitionColumns(
  topic: string,
  total: bigint,
  owners: ReadonlyMap<number, readonly string[]>,
): readonly Column<PartitionStats>[] {
  const recordsOf = ({ startOffset, endOffset }: PartitionStats): bigint => endOffset - startOffset;
  return [
    { id: "partition", header: "Partition", cell: ({ partition }) => partition },
    {
      id: "start",
      header: "First offset",
      numeric: true,
      from: "sm",
      cell: ({ startOffset }) => formatCount(startOffset),
    },
    { id: "end", header: "End offset", numeric: true, cell: ({ endOffset }) => formatCount(endOffset) },
    { id: "records", header: "Records", numeric: true, cell: (row) => formatCount(recordsOf(row)) },
    {
      id: "share",
      header: "Share",
      grow: true,
      from: "md",
      cell: (row) => {
        const share = total === 0n ? 0 : Number((recordsOf(row) * 1_000n) / total) / 10;
        return (
          <span className="flex items-center gap-2">
            <span aria-hidden="true" className="h-1.5 w-full max-w-48 overflow-hidden rounded bg-raised">
              <span className="block h-full bg-accent" style={{ width: `${share}%` }} />
            </span>
            <span className="w-12 text-right text-xs text-muted">{share}%</span>
          </span>
        );
      },
    },
    { id: "bytes", header: "Size", numeric: true, from: "sm", cell: ({ bytes }) => formatBytes(bytes) },
    { id: "entries", header: "Batches", numeric: true, from: "md", cell: ({ entries }) => formatCount(entries) },
    {
      id: "oldest",
      header: "Oldest",
      numeric: true,
      from: "sm",
      cell: ({ firstAppendMs }) => (
        <span className="text-muted">{firstAppendMs === 0n ? "–" : formatAgo(firstAppendMs)}</span>
      ),
    },
    {
      id: "last",
      header: "Last record",
      numeric: true,
      from: "sm",
      cell: ({ lastAppendMs }) => <span className="text-muted">{formatAgo(lastAppendMs)}</span>,
    },
    {
      id: "owner",
      header: "Read by",
      from: "lg",
      cell: ({ partition }) => {
        const names = owners.get(partition) ?? [];
        return (
          <span className="block max-w-52 truncate text-muted" title={names.join("\n")}>
            {names.length === 0 ? "nobody" : `${names[0]}${names.length > 1 ? ` +${names.length - 1}` : ""}`}
          </span>
        );
      },
    },
    {
      id: "look",
      header: "Messages",
      cell: ({ partition }) => (
        <Link
          to="/topics/$topic/messages"
          params={{ topic }}
          search={{ in: String(partition) }}
          className="text-accent"
        >
          look<span className="sr-only"> into partition {partition}</span>
        </Link>
      ),
    },
  ];
}

/** `open`: dead letters by group. */
function groupColumns(topic: string, open: ReadonlyMap<string, bigint>): readonly Column<PortalGroup>[] {
  return [
    { id: "name", header: "Group", grow: true, cell: ({ name }) => <GroupLink group={name} /> },
    {
      id: "members",
      header: "Members",
      numeric: true,
      from: "sm",
      cell: ({ members }) => (members === 0 ? <Badge tone="warn">none</Badge> : members),
    },
    { id: "lag", header: "Lag", numeric: true, cell: ({ lagRecords }) => formatCount(lagRecords) },
    {
      id: "age",
      header: "Oldest",
      numeric: true,
      from: "sm",
      cell: ({ lagMs }) => (lagMs === 0n ? "–" : formatDuration(lagMs)),
    },
    {
      id: "dead",
      header: "Dead letters",
      numeric: true,
      cell: ({ name }) =>
        open.has(name) ? (
          <Link to="/dead-letters/$topic/$group" params={{ topic, group: name }} className="text-accent">
            {formatCount(open.get(name) ?? 0n)}
            <span className="sr-only"> dead letters of {name}</span>
          </Link>
        ) : (
          "0"
        ),
    },
  ];
}
