/** The regression guard: ratios of a run beside those that were kept, with a tolerance for each. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { CaseFigures } from "./summary.ts";

/** `bench/baseline.json`. */
export interface Baseline {
  /** The machine that it was measured on: ratios move with the number of cores. */
  readonly machine: string;
  /** A ratio may fall to this share of what was kept. */
  readonly tolerance: number;
  /** By case and system: records/s of the subject over the system's. */
  readonly ratios: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface Comparison {
  readonly lines: readonly string[];
  readonly worse: number;
}

const file = resolve(import.meta.dirname, "../../baseline.json");
/** Ratios of a shared machine with 2 cores move by a fifth from run to run. */
const defaultTolerance = 0.7;

/** Compares what both have. @throws when there is no baseline */
export function compareWithBaseline(figures: readonly CaseFigures[]): Comparison {
  if (!existsSync(file)) throw new Error(`there is no ${file}: make one with --keep-baseline`);
  const kept: Baseline = JSON.parse(readFileSync(file, "utf8"));
  const lines = [`baseline: ${kept.machine}; a ratio may fall to ${kept.tolerance} of it`];
  let worse = 0;
  for (const { name, subject, systems } of figures) {
    for (const { system, subjectRatio } of systems) {
      const before = kept.ratios[name]?.[system];
      if (system === subject || before === undefined) continue;
      const isWorse = subjectRatio === undefined || subjectRatio < before * kept.tolerance;
      if (isWorse) worse++;
      const now = subjectRatio === undefined ? "nothing" : `${subjectRatio.toFixed(2)} x`;
      lines.push(`${isWorse ? "WORSE" : "ok   "}  ${name}, against ${system}: ${now}, kept ${before.toFixed(2)} x`);
    }
  }
  lines.push(worse === 0 ? "no ratio fell below its tolerance" : `${worse} ratios fell below their tolerance`);
  return { lines, worse };
}

/** Keeps this run's ratios; those of cases that did not run stay. */
export function keepBaseline(figures: readonly CaseFigures[], machine: string): void {
  const before: Baseline | undefined = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  const own = figures.map(({ name, subject, systems }): [string, Record<string, number>] => [
    name,
    Object.fromEntries(
      systems.flatMap(({ system, subjectRatio }) =>
        system === subject || subjectRatio === undefined ? [] : [[system, Number(subjectRatio.toFixed(3))]],
      ),
    ),
  ]);
  const ratios = { ...before?.ratios, ...Object.fromEntries(own) };
  const kept: Baseline = { machine, tolerance: before?.tolerance ?? defaultTolerance, ratios };
  writeFileSync(file, `${JSON.stringify(kept, undefined, 2)}\n`);
}
