import type { PortalBroker, PortalGroup } from "@gmq/protocol/messages";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { actWords } from "../../../src/audit/act-words.js";
import type { LiveState } from "../live/live-state.js";
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
} from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { LineChart } from "../parts/line-chart.js";
import { Empty, Loading } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Badge, Figure, Panel } from "../parts/panel.js";
import { SubjectLink } from "../parts/subject-link.js";
import { StoragesPanel } from "./storages-panel.js";
import { StorePanel } from "./store-panel.js";

const groupsShown = 5;

/** Screen 1: is everything well, and if not, where. */
export function OverviewScreen(): ReactNode {
  const live = useLive();
  if (!live.loaded) {
    return (
      <>
        <PageHeader title="Overview" />
        <Loading what="the cluster" />
      </>
    );
  }
  return (
    <>
      <PageHeader title="Overview" />
      <div className="flex flex-col gap-5">
        {live.problem !== "" && <Outage live={live} />}
        {live.alertCount > 0 && <Firing live={live} />}
        <Figures live={live} />
        <div className="grid gap-5 lg:grid-cols-3">
          <Panel title="Records per second" note="last 5 minutes">
            <LineChart
              title="Records per second"
              times={live.points.map(({ atMs }) => Number(atMs) / 1_000)}
              series={[
                { label: "published", color: "accent", values: live.points.map((point) => point.publishedPerSecond) },
                { label: "settled", color: "good", values: live.points.map((point) => point.settledPerSecond) },
              ]}
            />
          </Panel>
          <Panel title="Bytes per second" note="through the brokers">
            <LineChart
              title="Bytes per second"
              unit="bytes"
              times={live.points.map(({ atMs }) => Number(atMs) / 1_000)}
              series={[
                { label: "in", color: "accent", values: live.points.map((point) => point.publishedBytesPerSecond) },
                { label: "out", color: "good", values: live.points.map((point) => point.deliveredBytesPerSecond) },
              ]}
            />
          </Panel>
          <Panel title="Lag of all groups" note="records not settled">
            <LineChart
              title="Lag of all groups"
              times={live.points.map(({ atMs }) => Number(atMs) / 1_000)}
              series={[
                { label: "records", color: "warn", values: live.points.map((point) => Number(point.lagRecords)) },
              ]}
            />
          </Panel>
        </div>
        <div className="grid gap-5 lg:grid-cols-2">
          <GrowingGroups groups={[...live.groups.values()]} />
          <LastWrites live={live} />
        </div>
        <Panel title="Brokers" note={counted(live.brokers.length, "broker")}>
          <DataTable
            caption="Brokers"
            columns={brokerColumns}
            rows={live.brokers}
            rowKey={({ url }) => url}
            empty={<Empty title="No brokers are configured" />}
          />
        </Panel>
        <StoragesPanel brokers={live.brokers} />
        <StorePanel brokers={live.brokers} />
      </div>
    </>
  );
}

function Outage({ live }: { readonly live: LiveState }): ReactNode {
  const now = useSecond();
  return (
    <div role="alert" className="rounded-lg border border-bad/40 bg-bad-soft px-4 py-3 text-[13px]">
      <p className="font-medium text-bad wrap-anywhere">Topics and groups are not current: {live.problem}.</p>
      <p className="mt-1">
        What is shown is from {formatAgo(live.points.at(-1)?.atMs ?? 0n, now)}. The page goes on by itself.
      </p>
    </div>
  );
}

const alertsShown = 3;

/** What is wrong, before all figures. */
function Firing({ live: { alerts, alertCount } }: { readonly live: LiveState }): ReactNode {
  const isCritical = alerts.some(({ severity }) => severity === "critical");
  return (
    <section
      aria-label="Alerts"
      className={`flex flex-wrap items-start justify-between gap-x-4 gap-y-2 rounded-xl border bg-panel px-4 py-3 text-[13px] ${isCritical ? "border-bad/50" : "border-warn/50"}`}
    >
      <ul className="m-0 flex min-w-0 list-none flex-col gap-1 p-0">
        {alerts.slice(0, alertsShown).map(({ rule, subject, text, severity }) => (
          <li key={`${rule} ${subject}`} className="flex items-baseline gap-2 wrap-anywhere">
            <Badge tone={severity === "critical" ? "bad" : "warn"}>{severity}</Badge>
            <SubjectLink subject={subject} text={text} />
          </li>
        ))}
      </ul>
      <Link to="/alerts" className="text-xs text-accent">
        {alertCount > alertsShown ? `All ${formatCount(alertCount)} alerts` : "Alerts"}
      </Link>
    </section>
  );
}

function Figures({ live }: { readonly live: LiveState }): ReactNode {
  const groups = [...live.groups.values()];
  const { deadLetters } = live;
  const point = live.points.at(-1);
  const lag = groups.reduce((sum, { lagRecords }) => sum + lagRecords, 0n);
  const oldestMs = groups.reduce((most, { lagMs }) => (lagMs > most ? lagMs : most), 0n);
  const memberless = groups.filter(({ members, lagRecords }) => members === 0 && lagRecords > 0n);
  const brokersDown = live.brokers.filter(({ problem }) => problem !== "").length;
  const storeDown = live.brokers.some(({ problem, storeReady }) => problem === "" && !storeReady);
  return (
    <section
      aria-label="Figures"
      className="grid grid-cols-2 overflow-hidden rounded-xl border border-line bg-panel sm:grid-cols-4 lg:grid-cols-8 [&>a]:no-underline [&>a]:hover:bg-raised"
    >
      <Link to="/topics" search={{ sort: "-rate" }}>
        <Figure
          name="Published"
          value={formatRate(point?.publishedPerSecond ?? 0)}
          detail={`records/s · ${formatBytes(point?.publishedBytesPerSecond ?? 0)}/s`}
        />
      </Link>
      <a href="#brokers">
        <Figure
          name="Delivered"
          value={formatRate(point?.deliveredPerSecond ?? 0)}
          detail={`records/s · ${formatBytes(point?.deliveredBytesPerSecond ?? 0)}/s`}
        />
      </a>
      <Link to="/groups" search={{ sort: "-settled" }}>
        <Figure name="Settled" value={formatRate(point?.settledPerSecond ?? 0)} detail="records/s" />
      </Link>
      <Link to="/groups" search={{ sort: "-lag" }}>
        <Figure
          name="Lag"
          value={formatShort(lag)}
          detail={lag === 0n ? "nothing waits" : `oldest ${formatDuration(oldestMs)}`}
        />
      </Link>
      <Link to="/groups" search={{ only: "unattended", sort: "-lag" }}>
        <Figure
          name="Behind without members"
          value={memberless.length}
          detail={memberless.length === 0 ? "every lag is worked on" : "nobody consumes them"}
          tone={memberless.length === 0 ? "plain" : "warn"}
        />
      </Link>
      <Link to="/dead-letters">
        <Figure
          name="Dead letters"
          value={formatShort(deadLetters)}
          detail={deadLetters === 0n ? "nothing was given up" : "wait for a decision"}
          tone={deadLetters === 0n ? "plain" : "warn"}
        />
      </Link>
      <Link to="/topics">
        <Figure name="Topics" value={formatCount(live.topics.size)} detail={counted(live.groups.size, "group")} />
      </Link>
      <a href="#brokers">
        <Figure
          name="Brokers"
          value={
            brokersDown === 0 ? live.brokers.length : `${live.brokers.length - brokersDown} of ${live.brokers.length}`
          }
          detail={brokersDown > 0 ? "not all answer" : storeDown ? "the store is not ready" : "all answer, store ready"}
          tone={brokersDown > 0 || storeDown ? "bad" : "plain"}
        />
      </a>
    </section>
  );
}

function GrowingGroups({ groups }: { readonly groups: readonly PortalGroup[] }): ReactNode {
  const growing = groups
    .filter(({ lagRecords }) => lagRecords > 0n)
    .toSorted(
      (left, right) => right.lagGrowthPerSecond - left.lagGrowthPerSecond || Number(right.lagRecords - left.lagRecords),
    )
    .slice(0, groupsShown);
  return (
    <Panel title="Groups that are behind" note="fastest growing first">
      <DataTable
        caption="Groups that are behind"
        columns={growingColumns}
        rows={growing}
        rowKey={({ name }) => name}
        empty={<Empty title="No group is behind">Every record has been settled.</Empty>}
      />
    </Panel>
  );
}

function LastWrites({ live }: { readonly live: LiveState }): ReactNode {
  const now = useSecond();
  return (
    <Panel
      title="Last writes through the portal"
      actions={
        <Link to="/audit" className="text-xs text-accent">
          All of them
        </Link>
      }
    >
      {live.lastWrites.length === 0 ? (
        <Empty title="Nothing was changed">Topics made, deleted, records produced: each write shows up here.</Empty>
      ) : (
        <ul className="m-0 flex list-none flex-col p-0">
          {live.lastWrites
            .slice(0, groupsShown)
            .map(({ sequence, action, requestJson, target, outcome, actor, atMs }) => (
              <li
                key={String(sequence)}
                className="flex items-center gap-3 border-b border-line px-4 py-2 text-[13px] last:border-0"
              >
                <Badge tone={outcome === "done" ? "good" : outcome === "refused" ? "bad" : "warn"}>{outcome}</Badge>
                <span className="min-w-0 flex-1 truncate">
                  <span className="font-medium">{actWords(action, requestJson)}</span>: {target}
                </span>
                <span className="truncate text-xs text-muted max-sm:hidden">{actor}</span>
                <span className="text-xs whitespace-nowrap text-muted tabular-nums">{formatAgo(atMs, now)}</span>
              </li>
            ))}
        </ul>
      )}
    </Panel>
  );
}

const growingColumns: readonly Column<PortalGroup>[] = [
  {
    id: "name",
    header: "Group",
    grow: true,
    cell: ({ name, paused }) => (
      <>
        <GroupLink group={name} />
        {paused && (
          <span className="ml-2">
            <Badge tone="warn">paused</Badge>
          </span>
        )}
      </>
    ),
  },
  { id: "lag", header: "Lag", numeric: true, cell: ({ lagRecords }) => formatCount(lagRecords) },
  { id: "age", header: "Oldest", numeric: true, cell: ({ lagMs }) => formatDuration(lagMs) },
  {
    id: "growth",
    header: "Change",
    numeric: true,
    cell: ({ lagGrowthPerSecond: growth }) => (
      <span className={growth > 0 ? "text-bad" : growth < 0 ? "text-good" : "text-muted"}>
        {growth > 0 ? "+" : ""}
        {formatRate(growth)}/s
      </span>
    ),
  },
];

const brokerColumns: readonly Column<PortalBroker>[] = [
  {
    id: "url",
    header: "Broker",
    cell: ({ url }) => (
      <span id="brokers" className="font-mono text-xs">
        {url}
      </span>
    ),
  },
  {
    id: "state",
    header: "State",
    cell: ({ problem }) => (problem === "" ? <Badge tone="good">answers</Badge> : <Badge tone="bad">no answer</Badge>),
  },
  {
    id: "problem",
    header: "Id",
    grow: true,
    from: "sm",
    cell: ({ brokerId, problem }) => (problem === "" ? brokerId : problem),
  },
  { id: "version", header: "Version", from: "sm", cell: ({ version }) => version },
  {
    id: "sessions",
    header: "Sessions",
    numeric: true,
    from: "sm",
    cell: ({ problem, sessions }) => (problem === "" ? formatCount(sessions) : "–"),
  },
  {
    id: "in",
    header: "In",
    numeric: true,
    from: "sm",
    cell: ({ problem, publishedBytesPerSecond }) =>
      problem === "" ? `${formatBytes(publishedBytesPerSecond)}/s` : "–",
  },
  {
    id: "out",
    header: "Out",
    numeric: true,
    from: "sm",
    cell: ({ problem, deliveredBytesPerSecond }) =>
      problem === "" ? `${formatBytes(deliveredBytesPerSecond)}/s` : "–",
  },
  {
    id: "uptime",
    header: "Up",
    numeric: true,
    from: "sm",
    cell: ({ problem, uptimeMs }) => (problem === "" ? formatDuration(uptimeMs) : "–"),
  },
];
