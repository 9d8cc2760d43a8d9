/** The plan and the limits as the tables of docs/scaling.md. */
import { type Demand, measured, type Plan, planFor, recordUs } from "./model.ts";
import { placementOf } from "./placement.ts";

const parts = ["broker", "storage", "redis", "client"] as const;

/** The worked plans of the page. */
export const worked: readonly (readonly [name: string, demand: Demand])[] = [
  ["1 million records/s", { recordsPerS: 1e6, recordBytes: 512, groups: 1, retentionS: 600 }],
  ["100 million records/s", { recordsPerS: 1e8, recordBytes: 512, groups: 1, retentionS: 600 }],
];

/** How many records/s one core of each part carries, by arithmetic from its CPU. */
export function limitsTable(): string {
  const demand = (groups: number): Demand => ({
    recordsPerS: 1,
    recordBytes: measured.recordBytes,
    groups,
    retentionS: 0,
  });
  const rows = parts.map((part) => {
    const perCore = (us: number): string => count(1e6 / us);
    return [
      part,
      perCore(measured.publishUs[part]),
      perCore(measured.drainUs[part]),
      perCore(recordUs(part, demand(1))),
      perCore(recordUs(part, demand(10))),
    ];
  });
  return table(
    [
      "one core of",
      "publish only (W1)",
      "drain only (W2)",
      "in = out, 1 group (W3)",
      "in = out, 10 groups (W3, W2, W6)",
    ],
    rows,
  );
}

/** The worked plans side by side. */
export function plansTable(): string {
  const plans = worked.map(([, demand]) => planFor(demand));
  const row = (name: string, text: (plan: Plan) => string): string[] => [name, ...plans.map(text)];
  return table(
    ["", ...worked.map(([name]) => name)],
    [
      row("cells (Redis Clusters)", ({ cells }) => count(cells)),
      row("records/s of a cell", ({ cell }) => count(cell.recordsPerS)),
      row("brokers of a cell", ({ cell }) => count(cell.brokers)),
      row("storage services of a cell", ({ cell }) => count(cell.storages)),
      row("Redis masters of a cell, and what decides", ({ cell }) => `${count(cell.masters)}, ${cell.mastersBy}`),
      row("replicas of a cell", ({ cell }) => count(cell.replicas)),
      row("partitions of a cell", ({ cell }) => count(cell.partitions)),
      row("busiest storage service, times the mean", ({ cell }) => placementOf(cell).storages.toFixed(2)),
      row("busiest master, times the mean", ({ cell }) => placementOf(cell).masters.toFixed(2)),
      row("kept in a cell's masters, GB", ({ cell }) => count(cell.retainedBytes / 1e9)),
      row("signals/s to each storage service", ({ cell }) => count(cell.signalsPerS)),
      row("gathering an entry, ms", ({ cell }) => count(cell.gatherMs)),
      row("all cells: brokers", ({ cells, cell }) => count(cells * cell.brokers)),
      row("all cells: storage services", ({ cells, cell }) => count(cells * cell.storages)),
      row("all cells: Redis masters and replicas", ({ cells, cell }) => count(cells * (cell.masters + cell.replicas))),
      row("cores of producers and consumers", ({ clientCores }) => count(clientCores)),
    ],
  );
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}
