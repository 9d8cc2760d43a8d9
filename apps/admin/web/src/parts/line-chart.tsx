import { lazy, type ReactNode, Suspense } from "react";
import { formatBytes, formatCount, formatTime } from "./format.js";
import { ScrollBox } from "./scroll-box.js";

/** A line of a chart: one value for each time. */
export interface Series {
  readonly label: string;
  readonly values: readonly number[];
  readonly color: "accent" | "good" | "warn";
}

export interface LineChartProps {
  readonly title: string;
  /** Seconds since the epoch, ascending. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  /** What the values are; default: records. */
  readonly unit?: "bytes";
}

const Canvas = lazy(async () => ({ default: (await import("./line-chart-canvas.js")).LineChartCanvas }));
const rowsShown = 30;

/** A chart that can be read without seeing it: a sentence with the newest values, and a table of the last ones. */
export function LineChart({ title, times, series, unit }: LineChartProps): ReactNode {
  const textOf = (value: number): string =>
    unit === "bytes" ? formatBytes(Math.round(value)) : formatCount(Math.round(value));
  const summary = series.map(({ label, values }) => `${label} ${textOf(values.at(-1) ?? 0)}`).join(", ");
  return (
    <figure className="m-0 p-4">
      <figcaption className="mb-2 flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted">
        <span className="sr-only">
          {title}: {summary}
        </span>
        {series.map(({ label, color, values }) => (
          <span key={label} aria-hidden="true" className="inline-flex items-center gap-1.5">
            <span className={`h-0.5 w-3.5 rounded ${dots[color]}`} />
            {label}
            <span className="font-medium text-ink tabular-nums">{textOf(values.at(-1) ?? 0)}</span>
          </span>
        ))}
      </figcaption>
      <div aria-hidden="true" className="h-[160px]">
        <Suspense fallback={<div className="h-[160px]" />}>
          <Canvas title={title} times={times} series={series} unit={unit} />
        </Suspense>
      </div>
      <details className="mt-2 text-xs text-muted">
        <summary className="w-fit rounded py-1">Show as a table</summary>
        <ScrollBox label={`${title}, as a table`} className="mt-1 max-h-48">
          <table className="w-full border-collapse text-right">
            <thead>
              <tr>
                <th scope="col" className="text-left">
                  Time
                </th>
                {series.map(({ label }) => (
                  <th key={label} scope="col">
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times
                .map((time, index) => [time, index] as const)
                .slice(-rowsShown)
                .reverse()
                .map(([time, index]) => (
                  <tr key={time}>
                    <td className="text-left">{formatTime(time * 1_000).slice(11, 19)}</td>
                    {series.map(({ label, values }) => (
                      <td key={label}>{textOf(values[index] ?? 0)}</td>
                    ))}
                  </tr>
                ))}
            </tbody>
          </table>
        </ScrollBox>
      </details>
    </figure>
  );
}

const dots = { accent: "bg-accent", good: "bg-good", warn: "bg-warn" };
