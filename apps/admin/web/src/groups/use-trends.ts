import { useEffect, useState } from "react";
import type { PartitionRow } from "./group-tables.js";

/** How the lag of a partition moves. */
export interface Trend {
  /** Records a second; above 0 it grows. */
  readonly lagPerSecond: number;
  readonly settledPerSecond: number;
}

interface Sample {
  readonly atMs: number;
  readonly lag: bigint;
  readonly settled: bigint;
}

/** Looks are kept this long: the trend is over them. */
const windowMs = 60_000;
/** Before that it is not known. */
const leastMs = 3_500;

/** Trends by place ("topic/partition") over the last minute that the page was open; what is not known yet is not in it. */
export function useTrends(rows: readonly PartitionRow[], takenAtMs: number): ReadonlyMap<string, Trend> {
  const [samples, setSamples] = useState<ReadonlyMap<string, readonly Sample[]>>(new Map());
  // biome-ignore lint/correctness/useExhaustiveDependencies: the rows are those of the look at `takenAtMs`, made anew with every render.
  useEffect(() => {
    if (takenAtMs === 0) return;
    setSamples((before) => {
      const next = new Map<string, readonly Sample[]>();
      for (const { topic, partition, lagRecords, endOffset } of rows) {
        const place = `${topic}/${partition}`;
        const known = (before.get(place) ?? []).filter(({ atMs }) => atMs > takenAtMs - windowMs && atMs < takenAtMs);
        next.set(place, [...known, { atMs: takenAtMs, lag: lagRecords, settled: endOffset - lagRecords }]);
      }
      return next;
    });
  }, [takenAtMs]);
  const trends = new Map<string, Trend>();
  for (const [place, known] of samples) {
    const first = known[0];
    const last = known.at(-1);
    if (first === undefined || last === undefined || last.atMs - first.atMs < leastMs) continue;
    const seconds = (last.atMs - first.atMs) / 1_000;
    trends.set(place, {
      lagPerSecond: Number(last.lag - first.lag) / seconds,
      settledPerSecond: Number(last.settled - first.settled) / seconds,
    });
  }
  return trends;
}
