import type { AlignedData } from "uplot";

/** Looks further apart than this were not made one after the other: nobody watched. */
const gapSecondsMin = 15;

/** What a chart draws: a line ends where nothing was seen, in place of running on to what was seen next. */
export function withGaps(
  times: readonly number[],
  series: readonly { readonly values: readonly number[] }[],
): AlignedData {
  const drawn: number[] = [];
  const lines: (number | null)[][] = series.map(() => []);
  for (const [index, time] of times.entries()) {
    const before = times[index - 1];
    if (before !== undefined && time - before > gapSecondsMin) {
      drawn.push((before + time) / 2);
      for (const line of lines) line.push(null);
    }
    drawn.push(time);
    for (const [at, { values }] of series.entries()) lines[at]?.push(values[index] ?? null);
  }
  return [drawn, ...lines];
}
