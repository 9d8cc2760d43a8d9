import type { ReactNode } from "react";
import { formatCount } from "../parts/format.js";

/** How many records fall into each class; the bars only repeat the numbers. */
export function Histogram({
  title,
  bars,
}: {
  readonly title: string;
  readonly bars: readonly { readonly label: string; readonly count: number }[];
}): ReactNode {
  const most = Math.max(1, ...bars.map(({ count }) => count));
  return (
    <table className="w-full border-collapse text-xs">
      <caption className="mb-1.5 text-left font-medium text-muted">{title}</caption>
      <thead className="sr-only">
        <tr>
          <th scope="col">Class</th>
          <th scope="col">Share</th>
          <th scope="col">Records</th>
        </tr>
      </thead>
      <tbody>
        {bars.map(({ label, count }) => (
          <tr key={label}>
            <th scope="row" className="w-28 py-0.5 text-left font-normal whitespace-nowrap text-muted">
              {label}
            </th>
            <td className="py-0.5">
              <span aria-hidden="true" className="block h-2 rounded bg-raised">
                <span className="block h-full rounded bg-accent" style={{ width: `${(count * 100) / most}%` }} />
              </span>
            </td>
            <td className="w-14 py-0.5 text-right tabular-nums">{formatCount(count)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Sorts numbers into classes; each has an upper bound, the last none. */
export function classes(
  values: readonly number[],
  bounds: readonly (readonly [label: string, below: number])[],
): { label: string; count: number }[] {
  let from = Number.NEGATIVE_INFINITY;
  return bounds.map(([label, below]) => {
    const low = from;
    from = below;
    return { label, count: values.filter((value) => value >= low && value < below).length };
  });
}
