/** Figures as text for a terminal. */
import type { CaseFigures, SystemFigures } from "./summary.ts";

const columns = [
  "system",
  "records/s",
  "MB/s",
  "p50 ms",
  "p99 ms",
  "p99.9 ms",
  "CPU µs/record",
  "most RSS MB",
  "Redis B/rec",
  "GMQ is",
];

/** One case as a table with its targets below. */
export function renderCase({ name, subject, systems, targets, loadAverage }: CaseFigures): string {
  const rows = systems.map((figures) => rowOf(figures, subject));
  const widths = columns.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] as string).length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) =>
        at === 0 || at === 6 || at === 7 ? cell.padEnd(widths[at] as number) : cell.padStart(widths[at] as number),
      )
      .join("  ")
      .trimEnd();
  const judged = targets.map(
    ({ text, found, met }) =>
      `  ${met === undefined ? "?" : met ? "met   " : "missed"} ${text}${found === undefined ? "" : `: ${short(found)}`}`,
  );
  return [`${name}  (load average ${loadAverage.toFixed(1)})`, line(columns), ...rows.map(line), ...judged, ""].join(
    "\n",
  );
}

function rowOf(figures: SystemFigures, subject: string): string[] {
  const { system, failure, latency, subjectRatio } = figures;
  if (figures.rounds === 0)
    return [system, `failed: ${failure?.split("\n")[0] ?? "no round"}`, ...columns.slice(2).map(() => "")];
  return [
    system,
    whole(figures.recordsPerSecond),
    short(figures.megabytesPerSecond),
    short(latency?.p50Ms),
    short(latency?.p99Ms),
    short(latency?.p999Ms),
    listed(figures.cpuUsPerRecord, short),
    listed(figures.peakRssMegabytes, (value) => value.toFixed(0)),
    short(figures.redisBytesPerRecord),
    system === subject || subjectRatio === undefined ? "" : `${short(subjectRatio)} x`,
  ];
}

function listed(values: Readonly<Record<string, number>>, format: (value: number) => string): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${format(value)}`)
    .join(" ");
}

function whole(value: number | undefined): string {
  return value === undefined ? "" : Math.round(value).toLocaleString("en-US");
}

function short(value: number | undefined): string {
  if (value === undefined) return "";
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
