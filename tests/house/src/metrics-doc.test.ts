import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type MetricFacts, metricCatalogue } from "@gmq/metrics";
import { parser } from "@prometheus-io/lezer-promql";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { root } from "./sources.js";

const path = join(root, "docs/metrics.md");
const catalogue: [string, MetricFacts][] = Object.entries(metricCatalogue);
const histogramSuffix = /_(bucket|sum|count)$/;
const known = new Map(catalogue);

/** Names of GMQ's metrics in an expression that the catalogue does not have, and labels that a metric of the expression does not have. */
function unknownIn(expression: string): string[] {
  const names = Array.from(expression.matchAll(/\bgmq_[a-z0-9_]+/g), ([name]) => name);
  const labels = new Set(["job", "instance", "le"]);
  const wrong: string[] = [];
  for (const name of names) {
    const plain = known.has(name) ? name : name.replace(histogramSuffix, "");
    const facts = known.get(plain);
    if (facts === undefined || (plain !== name && facts.kind !== "histogram")) wrong.push(name);
    for (const label of facts?.labels ?? []) labels.add(label);
  }
  const used = [
    ...Array.from(expression.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g), ([, list]) =>
      (list ?? "").split(","),
    ).flat(),
    ...Array.from(expression.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"/g), ([, label]) => label ?? ""),
  ];
  wrong.push(...used.map((label) => label.trim()).filter((label) => label !== "" && !labels.has(label)));
  return wrong;
}

/** Where an expression is no PromQL, by Prometheus' own grammar. */
function syntaxErrorsIn(expression: string): string[] {
  const wrong: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ type, from }) => {
      if (type.isError) wrong.push(`at ${from}: ${expression.slice(from)}`);
    },
  });
  return wrong;
}

it("docs/metrics.md is the catalogue", () => {
  const rows = catalogue.map(
    ([name, { kind, parts, labels, help }]) =>
      `| \`${name}\` | ${kind} | ${parts.join(", ")} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
  );
  const text = `# Metrics

Every broker, storage service and portal answers \`GET /metrics\` on its own port in Prometheus' text format. Values are read when somebody asks; what passes is counted in plain
numbers, once per batch. The process' own metrics (\`process_…\`, \`nodejs_…\`: CPU, memory, event loop, garbage collection) come beside these. Of \`nodejs_eventloop_lag_…_seconds\` those
that are taken all the time (minimum to p99) include the 50 ms between two looks: an idle process shows 0.05.

| metric | kind | on | labels | what it is |
|---|---|---|---|---|
${rows.join("\n")}

Good to know:

- **Lag** is asked of the store by each storage service when it is scraped, at most once in 5 seconds. Several storage services over one store show the same lag: take \`max by (group)\`, not a sum.
  With more groups × partitions than \`--lag-series-max\` (default 2000) there is one sum per group with empty \`topic\` and \`partition\`, and \`gmq_group_lag_summed\` is 1.
- A broker counts what went through it, a storage service what it did for brokers elsewhere. In \`gmq-standalone\` the broker calls the engine itself, so the counts are the broker's.
- A histogram takes one measurement per call, which carries many batches or partitions: a rate of \`_count\` is calls, not records.
- Metrics name topics and groups. \`--metrics-token-file\` keeps them for who says the token: [security.md](security.md#metrics).
- What cannot be read (the store does not answer) has no series in that scrape; \`gmq_store_ready\` and \`gmq_ready\` are always there.

\`docker/observability\` has a Grafana dashboard and alert rules. This page is written from \`packages/metrics/src/catalogue.ts\`; run
\`GMQ_TEST_UPDATE_DOCS=1 pnpm --filter @gmq/house test\` after a change there.
`;
  if (process.env["GMQ_TEST_UPDATE_DOCS"] === "1") writeFileSync(path, text);
  expect(readFileSync(path, "utf8")).toBe(text);
});

it("names metrics as Prometheus wants them", () => {
  for (const [name, { kind, help }] of catalogue) {
    expect(name).toMatch(/^gmq_[a-z][a-z0-9_]*$/);
    expect(name.endsWith("_total"), name).toBe(kind === "counter");
    if (kind === "histogram") expect(name).toMatch(/_seconds$/);
    expect(name).not.toMatch(/_(ms|kb|mb|percent)(_|$)/);
    expect(help, name).toMatch(/\.$/);
  }
});

describe("docker/observability", () => {
  interface Rule {
    readonly alert: string;
    readonly expr: string;
    readonly for?: string;
    readonly labels: Record<string, string>;
    readonly annotations: Record<string, string>;
  }
  const read = (name: string): string => readFileSync(join(root, "docker/observability", name), "utf8");

  it("has alert rules that name existing metrics and say what to do", () => {
    const { groups } = parse(read("alerts.yaml")) as { groups: { name: string; rules: Rule[] }[] };
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(8);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert, expr, labels, annotations, for: lasting } of rules) {
      expect(syntaxErrorsIn(expr), alert).toEqual([]);
      expect(unknownIn(expr), alert).toEqual([]);
      expect(expr, alert).toMatch(/\bgmq_|^up\b/);
      expect(lasting ?? "0m", alert).toMatch(/^\d+[smh]$/);
      expect(["critical", "warning"], alert).toContain(labels["severity"]);
      expect(Object.keys(annotations).toSorted(), alert).toEqual(["description", "summary"]);
      // A command that who was woken up can copy: explain has to be told where to look.
      const explains = annotations["description"]?.match(/gmq groups explain .*/)?.[0] ?? "--topic --partition";
      expect(explains, alert).toMatch(/--topic .*--partition/);
    }
  });

  it("has a dashboard whose panels name existing metrics and do not lie over each other", () => {
    const board = JSON.parse(read("grafana-dashboard.json")) as {
      uid: string;
      schemaVersion: number;
      panels: {
        id: number;
        title: string;
        type: string;
        gridPos: { x: number; y: number; w: number; h: number };
        targets?: { expr: string; refId: string }[];
      }[];
      templating: { list: { name: string; query: unknown }[] };
    };
    expect(board.uid).toBe("gmq");
    const panels = board.panels.filter(({ type }) => type !== "row");
    expect(panels.length).toBeGreaterThan(12);
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    const cells = new Map<string, string>();
    for (const { title, targets, gridPos } of panels) {
      expect(targets?.length, title).toBeGreaterThan(0);
      for (const { expr } of targets ?? []) {
        const asAsked = expr.replaceAll(/\$\w+/g, "5m");
        expect(syntaxErrorsIn(asAsked), title).toEqual([]);
        expect(unknownIn(asAsked), title).toEqual([]);
      }
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.get(`${x}/${y}`), `${title} at ${x}/${y}`).toBeUndefined();
          cells.set(`${x}/${y}`, title);
        }
      }
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    }
    for (const { name, query } of board.templating.list) expect(unknownIn(JSON.stringify(query)), name).toEqual([]);
  });

  it("has rules for what nobody may miss", () => {
    const alerts = read("alerts.yaml");
    for (const metric of [
      'up{job=~".*gmq.*"} == 0', // a broker, storage service or portal is down
      "absent(gmq_sessions)", // no broker at all
      "gmq_store_ready == 0",
      "gmq_store_memory_bytes",
      "gmq_group_lag_seconds",
      "gmq_group_members) == 0",
      'rate(gmq_settle_records_total{verb="reject"}',
    ])
      expect(alerts).toContain(metric);
  });

  it("is read by a check that finds wrong names, labels and syntax", () => {
    expect(syntaxErrorsIn("sum by (le) (rate(gmq_sessions[5m])) > 0.5")).toEqual([]);
    expect(syntaxErrorsIn("sum by (le (rate(gmq_sessions[5m]))")).not.toEqual([]);
    expect(syntaxErrorsIn("rate(gmq_sessions[5 minutes])")).not.toEqual([]);
    expect(unknownIn("rate(gmq_append_records_total[5m])")).toEqual([]);
    expect(unknownIn("gmq_append_record_total")).toEqual(["gmq_append_record_total"]);
    expect(unknownIn("gmq_sessions_bucket")).toEqual(["gmq_sessions_bucket"]);
    expect(unknownIn("sum by (shard) (gmq_sessions)")).toEqual(["shard"]);
    expect(unknownIn('gmq_group_lag_records{gruppe="x"}')).toEqual(["gruppe"]);
  });
});
