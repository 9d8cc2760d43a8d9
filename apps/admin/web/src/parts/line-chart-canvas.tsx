import { type ReactNode, useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatBytes, formatShort, formatTime } from "./format.js";
import type { LineChartProps } from "./line-chart.js";
import { withGaps } from "./with-gaps.js";

/** The boxes around it have the same, in pixels: a rem is 14 of them here. */
const heightPx = 160;
/** A chart of nothing has an axis too. */
const leastTop = { bytes: 1_000, records: 5 };
/** Whole numbers only, which their labels are. */
const steps = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

/** Draws; everything else about a chart is in `LineChart`. */
export function LineChartCanvas({ times, series, unit }: LineChartProps): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const shape = series.map(({ label, color }) => `${color}:${label}`).join("|");

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const draw = (): void => {
      const data = plot.current?.data ?? [[], ...shape.split("|").map(() => [])];
      plot.current?.destroy();
      plot.current = new uPlot(options(element, shape, unit), data, element);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: heightPx }));
    resized.observe(element);
    // Colours are read when a chart is made: another scheme needs another chart.
    const recolored = new MutationObserver(draw);
    recolored.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      recolored.disconnect();
      system.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [shape, unit]);

  useEffect(() => {
    plot.current?.setData(withGaps(times, series));
  });

  return <div ref={box} className="h-[160px] w-full" />;
}

function options(element: HTMLElement, shape: string, unit: LineChartProps["unit"]): uPlot.Options {
  const textOf = unit === "bytes" ? formatBytes : formatShort;
  const style = getComputedStyle(element);
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const font = "11px 'Inter Variable', system-ui, sans-serif";
  const axis = { stroke: color("muted"), font, ticks: { show: false }, grid: { stroke: color("line"), width: 1 } };
  return {
    width: element.clientWidth,
    height: heightPx,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 28, 0, 0],
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(leastTop[unit ?? "records"], max * 1.1)] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 90,
        size: 30,
        values: (_plot, splits) => splits.map((split) => formatTime(split * 1_000).slice(11, 19)),
      },
      { ...axis, size: 60, incrs: steps, values: (_plot, splits) => splits.map((split) => textOf(Math.round(split))) },
    ],
    series: [
      {},
      ...shape.split("|").map((one) => {
        const name = one.slice(0, one.indexOf(":"));
        return { stroke: color(name), fill: `${color(name)}18`, width: 1.75, points: { show: false } };
      }),
    ],
  };
}
