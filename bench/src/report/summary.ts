/** Rounds to figures: medians, ratios of rounds that ran side by side, and whether targets were met. */
import type { LatencySummary } from "../measure/histogram.ts";
import { median } from "../measure/median.ts";
import type { ProcessCost, RoundResult } from "../processes/round.ts";
import type { CaseResult, SystemRounds } from "../run-suite.ts";
import type { Target } from "../suite.ts";

/** One system in one case: medians of its rounds. */
export interface SystemFigures {
  readonly system: string;
  readonly failure: string | undefined;
  readonly rounds: number;
  readonly recordsPerSecond: number | undefined;
  readonly megabytesPerSecond: number | undefined;
  readonly latency: Omit<LatencySummary, "count"> | undefined;
  /** µs of CPU for each record, by process. */
  readonly cpuUsPerRecord: Readonly<Record<string, number>>;
  /** The most in the measured time, by process. */
  readonly peakRssMegabytes: Readonly<Record<string, number>>;
  readonly redisBytesPerRecord: number | undefined;
  /** Redis memory over payload. */
  readonly redisPerPayload: number | undefined;
  /** Records/s of the subject over this one's, the median of the rounds; 1 for the subject itself. */
  readonly subjectRatio: number | undefined;
}

export interface CaseFigures {
  readonly name: string;
  readonly subject: string;
  readonly systems: readonly SystemFigures[];
  readonly targets: readonly TargetFigure[];
  readonly loadAverage: number;
}

/** A target, and what was found; `met` is undefined when it could not be told. */
export interface TargetFigure {
  readonly text: string;
  readonly found: number | undefined;
  readonly met: boolean | undefined;
}

/** Works out every case. */
export function summarize(results: readonly CaseResult[]): CaseFigures[] {
  const byName = new Map(results.map((result) => [result.case.name, result]));
  return results.map((result) => {
    const subject = result.systems.find(({ system }) => system === result.case.subject);
    const systems = result.systems.map((own) => figuresOf(own, subject));
    const figures = { name: result.case.name, subject: result.case.subject, systems, loadAverage: result.loadAverage };
    return { ...figures, targets: result.case.targets.map((target) => judge(target, systems, subject, byName)) };
  });
}

const rate = ({ records, elapsedMs }: RoundResult): number => records / (elapsedMs / 1_000);

function figuresOf({ system, rounds, failure }: SystemRounds, subject: SystemRounds | undefined): SystemFigures {
  const middle = (pick: (round: RoundResult) => number | undefined): number | undefined =>
    median(rounds.map(pick).filter((value) => value !== undefined));
  const names = Object.keys(rounds[0]?.processes ?? {});
  const perProcess = (pick: (round: RoundResult, name: string) => number | undefined): Record<string, number> =>
    Object.fromEntries(names.map((name) => [name, middle((round) => pick(round, name)) ?? 0]));
  const hasLatency = rounds.some(({ latency }) => latency !== undefined);
  return {
    system,
    failure,
    rounds: rounds.length,
    recordsPerSecond: middle(rate),
    megabytesPerSecond: middle(({ payloadBytes, elapsedMs }) => payloadBytes / 1e6 / (elapsedMs / 1_000)),
    latency: hasLatency
      ? {
          p50Ms: middle(({ latency }) => latency?.p50Ms) ?? 0,
          p99Ms: middle(({ latency }) => latency?.p99Ms) ?? 0,
          p999Ms: middle(({ latency }) => latency?.p999Ms) ?? 0,
          maxMs: middle(({ latency }) => latency?.maxMs) ?? 0,
        }
      : undefined,
    cpuUsPerRecord: perProcess((round, name) => (round.processes[name]?.cpuUs ?? 0) / Math.max(1, round.records)),
    peakRssMegabytes: perProcess((round, name) => (round.processes[name]?.peakRssBytes ?? 0) / 1e6),
    redisBytesPerRecord: middle(({ redisBytesPerRecord }) => redisBytesPerRecord),
    redisPerPayload: middle(({ redisBytesPerRecord, payloadBytes, records }) =>
      redisBytesPerRecord === undefined ? undefined : redisBytesPerRecord / (payloadBytes / records),
    ),
    subjectRatio: subject === undefined ? undefined : ratioOf(subject, rounds),
  };
}

/** The median of what each round gives against the other system's round beside it. */
function ratioOf(subject: SystemRounds, rounds: readonly RoundResult[]): number | undefined {
  return median(
    rounds.flatMap((other, index) => {
      const own = subject.rounds[index];
      return own === undefined ? [] : [rate(own) / rate(other)];
    }),
  );
}

function judge(
  target: Target,
  systems: readonly SystemFigures[],
  subject: SystemRounds | undefined,
  byName: ReadonlyMap<string, CaseResult>,
): TargetFigure {
  const own = systems.find(({ system }) => system === subject?.system);
  const atLeast = (text: string, found: number | undefined, min: number): TargetFigure => ({
    text: `${text} >= ${min}`,
    found,
    met: found === undefined ? undefined : found >= min,
  });
  const atMost = (text: string, found: number | undefined, max: number): TargetFigure => ({
    text: `${text} <= ${max}`,
    found,
    met: found === undefined ? undefined : found <= max,
  });
  const cost = (name: string, of: (cost: ProcessCost, round: RoundResult) => number): number[] =>
    (subject?.rounds ?? []).flatMap((round) => {
      const found = round.processes[name];
      return found === undefined ? [] : [of(found, round)];
    });
  switch (target.kind) {
    case "ratio":
      return atLeast(`x ${target.to}`, systems.find(({ system }) => system === target.to)?.subjectRatio, target.min);
    case "ratioToCase": {
      const other = byName.get(target.to);
      const rounds = other?.systems.find(({ system }) => system === subject?.system)?.rounds ?? [];
      return atLeast(`x ${target.to}`, subject === undefined ? undefined : ratioOf(subject, rounds), target.min);
    }
    case "recordsPerSecond":
      return atLeast("records/s", own?.recordsPerSecond, target.min);
    case "megabytesPerSecond":
      return atLeast("MB/s", own?.megabytesPerSecond, target.min);
    case "p50Ms":
      return atMost("p50 ms", own?.latency?.p50Ms, target.max);
    case "p99Ms":
      return atMost("p99 ms", own?.latency?.p99Ms, target.max);
    case "p99Ratio": {
      const other = systems.find(({ system }) => system === target.to)?.latency?.p99Ms;
      const mine = own?.latency?.p99Ms;
      return atMost(
        `p99 x ${target.to}`,
        other === undefined || mine === undefined ? undefined : mine / other,
        target.max,
      );
    }
    case "cpuPercent":
      return atMost(
        `${target.of} % of a core`,
        median(cost(target.of, ({ cpuUs }, { elapsedMs }) => cpuUs / (elapsedMs * 10))),
        target.max,
      );
    case "rssKbPerRecord":
      return atMost(
        `${target.of} KB a session`,
        median(cost(target.of, ({ rssBytes }, { records }) => rssBytes / records / 1_000)),
        target.max,
      );
    case "peakRssMegabytes":
      return atMost(
        `${target.of} MB at most`,
        median(cost(target.of, ({ peakRssBytes }) => peakRssBytes / 1e6)),
        target.max,
      );
    case "redisPerPayload":
      return atMost("Redis bytes / payload", own?.redisPerPayload, target.max);
  }
}
