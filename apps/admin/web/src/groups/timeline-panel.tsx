import type { GroupEvent, GroupMember } from "@gmq/protocol/messages";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { type Column, DataTable } from "../parts/data-table.js";
import { formatAgo, formatTime } from "../parts/format.js";
import { memberText } from "../parts/member-name.js";
import { Empty, ProblemNotice } from "../parts/notice.js";
import { Badge, Panel } from "../parts/panel.js";
import { portal } from "../rpc.js";
import { clientsOf } from "./group-tables.js";

const refreshMs = 3_000;
const tones: Readonly<Record<string, "good" | "warn" | "accent" | "plain">> = {
  joined: "good",
  left: "warn",
  moved: "accent",
};

/** Who joined, left or got another partition, as the portal saw it. */
export function TimelinePanel({
  group,
  members,
  nowMs,
}: {
  readonly group: string;
  readonly members: readonly GroupMember[];
  readonly nowMs: number;
}): ReactNode {
  const listed = useQuery({
    queryKey: ["group events", group],
    queryFn: ({ signal }) => portal.listGroupEvents({ group }, { signal }),
    refetchInterval: refreshMs,
  });
  const { data } = listed;
  const clients = new Map(clientsOf(members));
  // Those that have left are named by what was seen of them.
  for (const { memberId, clientId } of data?.events ?? []) if (clientId !== "") clients.set(memberId, clientId);
  const since =
    data === undefined || data.watchedSinceMs === 0n
      ? ""
      : `seen since ${formatTime(data.watchedSinceMs).slice(0, 19)}`;
  return (
    <Panel title="Rebalances" note={since}>
      {listed.error !== null && <ProblemNotice error={listed.error} />}
      <DataTable
        caption={`Rebalances of ${group}`}
        columns={columns(clients, nowMs)}
        rows={data?.events ?? []}
        rowKey={(event) => `${event.version} ${event.kind} ${event.memberId} ${event.topic} ${event.partition}`}
        tall={(data?.events.length ?? 0) > 12}
        empty={
          <Empty title="Nobody joined, left or got another partition">
            The portal sees it while somebody looks at it; what changed and changed back within a second is not here.
          </Empty>
        }
      />
    </Panel>
  );
}

function columns(clients: ReadonlyMap<string, string>, nowMs: number): readonly Column<GroupEvent>[] {
  return [
    {
      id: "at",
      header: "When",
      cell: ({ atMs }) => (
        <span className="whitespace-nowrap text-muted" title={formatTime(atMs)}>
          {formatAgo(atMs, nowMs)}
        </span>
      ),
    },
    { id: "kind", header: "What", cell: ({ kind }) => <Badge tone={tones[kind] ?? "plain"}>{kind}</Badge> },
    {
      id: "who",
      header: "Who",
      grow: true,
      cell: (event) => (
        <span title={`${event.fromMemberId} ${event.memberId}`.trim()}>
          {tell(event, (id) => memberText(id, clients.get(id) ?? ""))}
        </span>
      ),
    },
  ];
}

function tell(
  { kind, memberId, topic, partition, fromMemberId }: GroupEvent,
  nameOf: (memberId: string) => string,
): string {
  if (kind === "joined" || kind === "left") return nameOf(memberId);
  const place = `${topic} / ${partition}`;
  const from = fromMemberId === "" ? "nobody" : nameOf(fromMemberId);
  return kind === "held"
    ? `${place}: nobody may own it, before ${from}`
    : `${place}: ${from} → ${memberId === "" ? "nobody" : nameOf(memberId)}`;
}
