import type {
  PortalAlert,
  PortalAlertRule,
  PortalServiceListAlertsResponse,
  PortalSilence,
} from "@gmq/protocol/messages";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useMay } from "../access/access-store.js";
import { SilenceDialog } from "../alerts/silence-dialog.js";
import { useLive } from "../live/live-store.js";
import { Button } from "../parts/button.js";
import { CopyAs, curlOf } from "../parts/copy-as.js";
import { type Column, DataTable } from "../parts/data-table.js";
import { formatAgo, formatCount, formatDuration, formatTime } from "../parts/format.js";
import { useSecond } from "../parts/freshness.js";
import { Empty, Loading, ProblemNotice } from "../parts/notice.js";
import { PageHeader } from "../parts/page-header.js";
import { Badge, Panel } from "../parts/panel.js";
import { SubjectLink } from "../parts/subject-link.js";
import { say } from "../parts/toasts.js";
import { portal } from "../rpc.js";

const refreshMs = 2_000;

/** What is wrong, what is looked for, and who is told. */
export function AlertsScreen(): ReactNode {
  const listed = useQuery({
    queryKey: ["alerts"],
    queryFn: ({ signal }) => portal.listAlerts({}, { signal }),
    refetchInterval: refreshMs,
  });
  const readOnly = useLive().facts?.readOnly === true;
  const mayAct = useMay("operator") && !readOnly;
  const [silencing, setSilencing] = useState<PortalAlert>();
  const now = useSecond();
  const { data } = listed;
  return (
    <>
      <PageHeader title="Alerts" note={data === undefined ? undefined : noteOf(data)}>
        <CopyAs curl={curlOf("PortalService/ListAlerts", {})} />
      </PageHeader>
      <div className="flex flex-col gap-5">
        {listed.error !== null && <ProblemNotice error={listed.error} />}
        {data === undefined && listed.error === null && <Loading what="alerts" />}
        {data !== undefined && (
          <>
            <Panel title="Now" note={`as of ${formatAgo(listed.dataUpdatedAt, now)}`}>
              <DataTable
                caption="Alerts now"
                columns={openColumns(now, mayAct ? setSilencing : undefined)}
                rows={data.alerts}
                rowKey={({ rule, subject }) => `${rule} ${subject}`}
                tall={data.alerts.length > 30}
                empty={<Empty title="Nothing is wrong">No rule finds anything.</Empty>}
              />
            </Panel>
            <SilencesPanel silences={data.silences} kept={data.silencesKept} mayAct={mayAct} now={now} />
            <Panel title="Before" note={data.silencesKept ? "the last 200" : "since the portal started"}>
              <DataTable
                caption="Alerts before"
                columns={pastColumns(now)}
                rows={data.past}
                rowKey={({ rule, subject, firedAtMs }) => `${rule} ${subject} ${firedAtMs}`}
                tall={data.past.length > 12}
                empty={<Empty title="Nothing that fired is over" />}
              />
            </Panel>
            <Panel title="Rules" note="what is looked for">
              <DataTable
                caption="Rules"
                columns={ruleColumns}
                rows={data.rules}
                rowKey={({ name }) => name}
                empty={<Empty title="No rules">The alerts file has none, so nothing is looked for.</Empty>}
              />
            </Panel>
            <WebhookPanel webhook={data.webhook} mayAct={mayAct} now={now} />
          </>
        )}
      </div>
      {silencing !== undefined && <SilenceDialog alert={silencing} onClose={() => setSilencing(undefined)} />}
    </>
  );
}

function noteOf({ alerts, alertCount }: PortalServiceListAlertsResponse): string {
  const firing = alerts.filter(({ firedAtMs, silenceId }) => firedAtMs > 0n && silenceId === "").length;
  return alertCount > alerts.length
    ? `${formatCount(alertCount)}, the first are listed`
    : `${formatCount(firing)} firing`;
}

function SilencesPanel({
  silences,
  kept,
  mayAct,
  now,
}: {
  readonly silences: readonly PortalSilence[];
  readonly kept: boolean;
  readonly mayAct: boolean;
  readonly now: number;
}): ReactNode {
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: (silenceId: string) => portal.endSilence({ silenceId }),
    onSuccess: () => say("The silence is over"),
    onSettled: () => queries.invalidateQueries({ queryKey: ["alerts"] }),
  });
  if (silences.length === 0) return null;
  const columns: readonly Column<PortalSilence>[] = [
    {
      id: "rule",
      header: "Rule",
      cell: ({ rule }) =>
        rule === "" ? <span className="text-muted">any</span> : <span className="whitespace-nowrap">{rule}</span>,
    },
    {
      id: "subject",
      header: "About",
      cell: ({ subject }) => (
        <span className="block max-w-44 truncate sm:max-w-72" title={subject}>
          {subject === "" ? <span className="text-muted">anything</span> : subject}
        </span>
      ),
    },
    {
      id: "until",
      header: "Still for",
      numeric: true,
      cell: ({ untilMs }) => (
        <span title={formatTime(untilMs)}>{formatDuration(Math.max(0, Number(untilMs) - now))}</span>
      ),
    },
    {
      id: "why",
      header: "Reason",
      grow: true,
      from: "sm",
      cell: ({ reason }) => (
        <span title={reason} className="text-muted">
          {reason}
        </span>
      ),
    },
    { id: "who", header: "Who", from: "sm", cell: ({ actor }) => actor },
    ...(mayAct
      ? [
          {
            id: "end",
            header: "End",
            cell: ({ silenceId, rule, subject }: PortalSilence) => (
              <button
                type="button"
                disabled={end.isPending}
                className="min-h-6 text-accent hover:underline"
                onClick={() => end.mutate(silenceId)}
              >
                end<span className="sr-only"> {`the silence of ${rule} ${subject}`}</span>
              </button>
            ),
          },
        ]
      : []),
  ];
  return (
    <Panel title="Silenced" note={kept ? "kept on disk" : "in memory: gone when the portal ends (see --data)"}>
      {end.error !== null && <ProblemNotice error={end.error} />}
      <DataTable
        caption="Silences"
        columns={columns}
        rows={silences}
        rowKey={({ silenceId }) => silenceId}
        empty={null}
      />
    </Panel>
  );
}

function WebhookPanel({
  webhook,
  mayAct,
  now,
}: {
  readonly webhook: PortalServiceListAlertsResponse["webhook"];
  readonly mayAct: boolean;
  readonly now: number;
}): ReactNode {
  const queries = useQueryClient();
  const test = useMutation({
    mutationFn: () => portal.testAlertWebhook({}),
    onSuccess: () => say("The webhook took the test"),
    onSettled: () => queries.invalidateQueries({ queryKey: ["alerts"] }),
  });
  return (
    <Panel
      title="Webhook"
      note={webhook === undefined ? undefined : webhook.host}
      actions={
        webhook !== undefined &&
        mayAct && (
          <div className="flex items-center gap-2">
            <CopyAs curl={curlOf("PortalService/TestAlertWebhook", {})} />
            <Button disabled={test.isPending} onClick={() => test.mutate()}>
              Send a test
            </Button>
          </div>
        )
      }
      padded
    >
      <div className="flex flex-col gap-3 text-[13px]">
        {test.error !== null && <ProblemNotice error={test.error} />}
        {webhook === undefined ? (
          <p className="text-muted">
            Nobody is told: the portal has no alerts file that names a webhook. It looks while somebody looks at it.
          </p>
        ) : (
          <p>
            {formatCount(webhook.delivered)} delivered, {formatCount(webhook.waiting)} waiting,{" "}
            <span className={webhook.failed > 0n ? "text-bad" : ""}>{formatCount(webhook.failed)} given up</span>
            {webhook.lastAtMs > 0n && (
              <span className="text-muted"> · last try {formatAgo(webhook.lastAtMs, now)}</span>
            )}
            {webhook.lastProblem !== "" && <span className="text-bad wrap-anywhere">: {webhook.lastProblem}</span>}
          </p>
        )}
      </div>
    </Panel>
  );
}

function stateOf({ firedAtMs, silenceId, severity }: PortalAlert): ReactNode {
  if (silenceId !== "") return <Badge>silenced</Badge>;
  if (firedAtMs === 0n) return <Badge tone="accent">waits</Badge>;
  return <Badge tone={severity === "critical" ? "bad" : "warn"}>{severity}</Badge>;
}

function openColumns(now: number, silence: ((alert: PortalAlert) => void) | undefined): readonly Column<PortalAlert>[] {
  return [
    { id: "state", header: "State", cell: stateOf },
    {
      id: "text",
      header: "What",
      grow: true,
      wraps: true,
      cell: ({ subject, text }) => (
        <span title={text} className="[&>a]:block sm:[&>a]:truncate sm:[&>a]:leading-6 max-sm:[&>a]:min-h-6">
          <SubjectLink subject={subject} text={text} />
        </span>
      ),
    },
    {
      id: "rule",
      header: "Rule",
      from: "md",
      cell: ({ rule }) => <span className="whitespace-nowrap text-muted">{rule}</span>,
    },
    {
      id: "since",
      header: "Since",
      numeric: true,
      cell: ({ sinceMs }) => (
        <span className="text-muted" title={formatTime(sinceMs)}>
          {formatAgo(sinceMs, now)}
        </span>
      ),
    },
    ...(silence === undefined
      ? []
      : [
          {
            id: "silence",
            header: "Silence",
            cell: (alert: PortalAlert) =>
              alert.silenceId !== "" ? null : (
                <button type="button" className="min-h-6 text-accent hover:underline" onClick={() => silence(alert)}>
                  silence…<span className="sr-only"> {`${alert.rule} of ${alert.subject}`}</span>
                </button>
              ),
          },
        ]),
  ];
}

function pastColumns(now: number): readonly Column<PortalAlert>[] {
  return [
    { id: "state", header: "State", cell: () => <Badge tone="good">over</Badge> },
    { id: "text", header: "What", grow: true, wraps: true, cell: ({ text }) => <span title={text}>{text}</span> },
    {
      id: "rule",
      header: "Rule",
      from: "md",
      cell: ({ rule }) => <span className="whitespace-nowrap text-muted">{rule}</span>,
    },
    {
      id: "lasted",
      header: "Lasted",
      numeric: true,
      from: "sm",
      cell: ({ sinceMs, endedAtMs }) => formatDuration(endedAtMs - sinceMs),
    },
    {
      id: "ended",
      header: "Ended",
      numeric: true,
      cell: ({ endedAtMs }) => (
        <span className="text-muted" title={formatTime(endedAtMs)}>
          {formatAgo(endedAtMs, now)}
        </span>
      ),
    },
  ];
}

const ruleColumns: readonly Column<PortalAlertRule>[] = [
  { id: "name", header: "Rule", cell: ({ name }) => <span className="font-medium sm:whitespace-nowrap">{name}</span> },
  {
    id: "condition",
    header: "Fires when",
    grow: true,
    wraps: true,
    cell: (rule) => <span title={conditionOf(rule)}>{conditionOf(rule)}</span>,
  },
  {
    id: "for",
    header: "For",
    numeric: true,
    cell: ({ forSeconds }) => (forSeconds === 0 ? "at once" : formatDuration(forSeconds * 1_000)),
  },
  {
    id: "groups",
    header: "Groups",
    from: "md",
    cell: ({ groups, condition }) => (
      <span className="block max-w-52 truncate" title={groups.join(", ")}>
        {condition.includes("group") ? groups.join(", ") : "–"}
      </span>
    ),
  },
  { id: "severity", header: "Severity", from: "sm", cell: ({ severity }) => severity },
];

function conditionOf({ condition, above, unit }: PortalAlertRule): string {
  return unit === "" || (above === 0 && unit === "records" && !condition.endsWith("more"))
    ? condition
    : `${condition} than ${formatCount(above)} ${unit}`;
}
